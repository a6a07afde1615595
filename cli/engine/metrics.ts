/**
 * Counters and gauges as Prometheus text, in the reference's names.
 *
 * Source: spec 06 section 8.
 * @module
 */
import { formatAddress, formatNetworkId } from "../../lib/base/ids.ts";
import type { Controller } from "../../lib/controller/mod.ts";
import type { Node } from "../../lib/node/node.ts";
import { isSuspect } from "../../lib/peer/peer.ts";
import { Verb } from "../../lib/wire/packet.ts";

/** One line of a family: labels in alphabetical order, and the value. */
type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** Everything the node counts. */
export function renderMetrics(node: Node, controller: Controller | undefined): string {
  const { vl1, networks } = node;
  const families = [
    family("zt_packet", "counter", "packets by type and direction", packetSamples(node)),
    family("zt_num_networks", "gauge", "joined networks", [[{}, networks.all().length]]),
    family(
      "zt_network_multicast_groups_subscribed",
      "gauge",
      "multicast groups subscribed to",
      networks.all().map((network) => [
        { network_id: formatNetworkId(network.id) },
        network.groups().length,
      ]),
    ),
    family(
      "zt_peer_path_count",
      "gauge",
      "paths to a peer by state",
      [...vl1.peers.values()].flatMap((peer) => {
        const node_id = formatAddress(peer.address);
        const dead = peer.paths.filter(isSuspect).length;
        return [
          [{ node_id, status: "alive" }, peer.paths.length - dead] as Sample,
          [{ node_id, status: "dead" }, dead] as Sample,
        ];
      }),
    ),
    family(
      "zt_dropped_packets",
      "counter",
      "packets thrown away, by reason",
      [...vl1.counters.drops].map(([reason, count]) => [{ reason }, count]),
    ),
    family("zt_relayed_bytes", "counter", "bytes relayed for others", [[
      {},
      vl1.counters.relayedBytes,
    ]]),
  ];
  if (controller) families.push(...controllerFamilies(controller));
  return families.join("");
}

function packetSamples(node: Node): Sample[] {
  const { received, sent } = node.vl1.counters;
  return Object.entries(Verb).flatMap(([name, verb]) => {
    const packet_type = name.toLowerCase();
    return [
      [{ direction: "rx", packet_type }, received[verb]] as Sample,
      [{ direction: "tx", packet_type }, sent[verb]] as Sample,
    ];
  });
}

function controllerFamilies({ networkCount, counters }: Controller): string[] {
  const { requests } = counters;
  return [
    family("controller_network_count", "gauge", "networks", [[{}, networkCount]]),
    family("controller_network_config_request", "counter", "requests", [[{}, requests]]),
  ];
}

function family(name: string, type: string, help: string, samples: readonly Sample[]): string {
  const lines = samples.map(([labels, value]) => {
    const inside = Object.entries(labels).map(([key, text]) => `${key}="${text}"`).join(",");
    return `${name}${inside === "" ? "" : `{${inside}}`} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}
