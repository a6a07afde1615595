/**
 * Counters and gauges as Prometheus text, in the reference's names, labels and order.
 *
 * Every combination of labels is there from the start. What the data Worker opens is known in sum
 * and, for what it seals, by peer; see the help texts.
 *
 * Source: spec 06 section 8.
 * @module
 */
import { formatAddress, formatNetworkId } from "../../lib/base/ids.ts";
import type { Controller } from "../../lib/controller/mod.ts";
import { Stat } from "../../lib/dataplane/stats.ts";
import type { Node } from "../../lib/node/node.ts";
import { LATENCY_EDGES_MS, LatencyHistogram } from "../../lib/peer/latency_histogram.ts";
import { isSuspect, type Peer } from "../../lib/peer/peer.ts";
import { ErrorCode, Verb, verbName } from "../../lib/wire/packet.ts";

/**
 * Bounds the text at a root, which knows 100,000 peers: those met first, of which its own are, get
 * lines of their own.
 */
const PEERS_SHOWN_MAX = 1_024;

/** Where the numbers are. */
export interface MetricsSources {
  readonly node: Node;
  /** Without it the controller's numbers are 0. */
  readonly controller: Controller | undefined;
  /** The data Worker's page, indexed by {@linkcode Stat}. */
  readonly data: ArrayLike<number>;
  /** UDP payload sent past the Worker, in bytes. */
  readonly udpPastWorkerBytes: number;
  /** Packets carried in TCP, in bytes. */
  readonly tcpReceivedBytes: number;
  readonly tcpSentBytes: number;
}

/** One line of a family: labels as written, and the value. `suffix` ends the name. */
interface Sample {
  readonly labels: string;
  readonly value: number;
  readonly suffix?: string;
}

/** Everything counted. */
export function renderMetrics(sources: MetricsSources): string {
  const { vl1 } = sources.node;
  const peers: Peer[] = [];
  for (const peer of vl1.peers.values()) {
    if (peers.push(peer) >= PEERS_SHOWN_MAX) break;
  }
  return [
    ...vl1Families(sources),
    ...networkFamilies(sources.node),
    ...peerFamilies(peers),
    ...controllerFamilies(sources.controller),
    family(
      "zt_dropped_packets",
      "counter",
      "packets thrown away, by reason",
      [...vl1.counters.drops].map(([reason, value]) => ({ labels: `reason="${reason}"`, value })),
    ),
    single("zt_relayed_bytes", "counter", "bytes relayed for others", vl1.counters.relayedBytes),
  ].join("");
}

/** The reference's words where they are not the verb's. */
const PACKET_TYPES = new Map<number, string>([[Verb.QOS_MEASUREMENT, "qos"]]);

const ERROR_TYPES: readonly (readonly [string, ErrorCode | undefined])[] = [
  ["obj_not_found", ErrorCode.OBJECT_NOT_FOUND],
  ["unsupported_operation", ErrorCode.UNSUPPORTED_OPERATION],
  ["identity_collision", ErrorCode.IDENTITY_COLLISION],
  ["need_membership_certificate", ErrorCode.NEED_MEMBERSHIP_CERTIFICATE],
  ["network_access_denied", ErrorCode.NETWORK_ACCESS_DENIED],
  ["unwanted_multicast", ErrorCode.UNWANTED_MULTICAST],
  ["authentication_required", ErrorCode.NETWORK_AUTHENTICATION_REQUIRED],
  ["internal_server_error", undefined], // no code of the protocol says so
];

function vl1Families({ node, data, ...bytes }: MetricsSources): string[] {
  const { received, sent, errorsReceived, errorsSent, openedElsewhere } = node.vl1.counters;
  // Every packet the Worker seals, and every one it opens and keeps, is a FRAME.
  const ofWorker = (verb: Verb, count: number) => verb === Verb.FRAME ? Math.max(0, count) : 0;
  const framesIn = data[Stat.PACKETS_OPENED] - openedElsewhere;
  const packets = Object.values(Verb).flatMap((verb) => {
    const type = PACKET_TYPES.get(verb) ?? verbName(verb).toLowerCase();
    return directions(
      (direction) => `direction="${direction}",packet_type="${type}"`,
      received[verb] + ofWorker(verb, framesIn),
      sent[verb] + ofWorker(verb, data[Stat.PACKETS_SEALED]),
    );
  });
  const errors = ERROR_TYPES.flatMap(([type, code]) =>
    directions(
      (direction) => `direction="${direction}",error_type="${type}"`,
      code === undefined ? 0 : errorsReceived[code],
      code === undefined ? 0 : errorsSent[code],
    )
  );
  const udpSentBytes = data[Stat.BYTES_OUT] + bytes.udpPastWorkerBytes;
  return [
    family("zt_packet", "counter", "ZeroTier packet type counts", packets),
    family("zt_packet_error", "counter", "ZeroTier packet errors", errors),
    family("zt_data", "counter", "number of bytes ZeroTier has transmitted or received", [
      ...directions((d) => `direction="${d}",protocol="udp"`, data[Stat.BYTES_IN], udpSentBytes),
      ...directions(
        (direction) => `direction="${direction}",protocol="tcp"`,
        bytes.tcpReceivedBytes,
        bytes.tcpSentBytes,
      ),
    ]),
  ];
}

function directions(labels: (direction: string) => string, rx: number, tx: number): Sample[] {
  return [{ labels: labels("rx"), value: rx }, { labels: labels("tx"), value: tx }];
}

function networkFamilies({ networks }: Node): string[] {
  const all = networks.all().map((network) => ({ network, id: formatNetworkId(network.id) }));
  const packets = all.flatMap(({ network: { counts }, id }) => [
    ...directions(
      (direction) => `accepted="yes",direction="${direction}",network_id="${id}"`,
      counts.receivedAccepted,
      counts.sentAccepted,
    ),
    ...directions(
      (direction) => `accepted="no",direction="${direction}",network_id="${id}"`,
      counts.receivedRefused,
      counts.sentRefused,
    ),
  ]);
  return [
    single("zt_num_networks", "gauge", "number of networks this instance is joined to", all.length),
    family(
      "zt_network_multicast_groups_subscribed",
      "gauge",
      "number of multicast groups networks are subscribed to",
      all.map(({ network, id }) => ({
        labels: `network_id="${id}"`,
        value: network.groups().length,
      })),
    ),
    family(
      "zt_network_packets",
      "counter",
      "number of incoming/outgoing packets per network; of a peer on several networks, frames of the data Worker are not told apart",
      packets,
    ),
  ];
}

function peerFamilies(peers: readonly Peer[]): string[] {
  const all = peers.map((peer) => ({ peer, label: `node_id="${formatAddress(peer.address)}"` }));
  return [
    family(
      "zt_peer_latency",
      "histogram",
      "peer latency (ms)",
      all.flatMap(({ peer, label }) => latencySamples(peer, label)),
    ),
    family(
      "zt_peer_path_count",
      "gauge",
      "number of paths to peer",
      all.flatMap(({ peer, label }) => {
        const dead = peer.paths.filter(isSuspect).length;
        return [
          { labels: `${label},status="alive"`, value: peer.paths.length - dead },
          { labels: `${label},status="dead"`, value: dead },
        ];
      }),
    ),
    family(
      "zt_peer_packets",
      "counter",
      "number of packets to/from a peer",
      all.flatMap(({ peer, label }) =>
        directions(
          (direction) => `direction="${direction}",${label}`,
          peer.packetsIn,
          peer.packetsOut,
        )
      ),
    ),
    family(
      "zt_peer_packet_errors",
      "counter",
      "number of incoming packet errors from a peer",
      all.map(({ peer, label }) => ({ labels: label, value: peer.packetErrors })),
    ),
  ];
}

const NEVER_MEASURED = new LatencyHistogram();

/** As in the reference the count and the sum come first. */
function latencySamples({ latencies = NEVER_MEASURED }: Peer, label: string): Sample[] {
  const cumulative = latencies.cumulative();
  const buckets = cumulative.map((value, index) => ({
    labels: `${label},le="${LATENCY_EDGES_MS[index] ?? "+Inf"}"`,
    suffix: "_bucket",
    value,
  }));
  return [
    { labels: label, suffix: "_count", value: cumulative.at(-1)! },
    { labels: label, suffix: "_sum", value: Math.round(latencies.sumMs) },
    ...buckets,
  ];
}

function controllerFamilies(controller: Controller | undefined): string[] {
  const counters = controller?.counters;
  const reads = counters?.reads;
  const gauges: Parameters<typeof single>[] = [
    [
      "controller_network_count",
      "gauge",
      "number of networks the controller is serving",
      controller?.networkCount ?? 0,
    ],
    [
      "controller_member_count",
      "gauge",
      "number of network members the controller is serving",
      controller?.memberCount ?? 0,
    ],
    [
      "controller_network_config_request_queue",
      "gauge",
      "number of entries in the request queue for network configurations",
      controller?.queuedCount ?? 0,
    ],
    [
      "controller_network_config_request_threads",
      "gauge",
      "number of active network config handling threads",
      controller ? 1 : 0,
    ],
  ];
  const counts: [name: string, help: string, value: number | undefined][] = [
    [
      "network_change_count",
      "number of times a network configuration is changed",
      counters?.networkChanges,
    ],
    [
      "member_change_count",
      "number of times a network member configuration is changed",
      counters?.memberChanges,
    ],
    ["member_auth_count", "number of network member auths", counters?.membersAuthorized],
    ["member_deauth_count", "number of network member deauths", counters?.membersDeauthorized],
    ["network_config_request", "count of config requests handled", counters?.requests],
    ["sso_expiration_checks", "number of sso expiration checks done", 0], // there is no SSO here
    ["sso_timeouts", "number of sso timeouts", 0],
    ["db_get_network", "networks looked up", reads?.network],
    ["db_get_network_and_member", "members looked up", reads?.member],
    // The capital K is the reference's: dashboards name it so.
    ["db_get_networK_and_member_summary", "config requests decided", reads?.configRequest],
    ["db_get_member_list", "member lists read", reads?.members],
    ["db_get_network_list", "network lists read", reads?.networks],
    ["db_member_change", "member records written", counters?.memberChanges],
    ["db_network_change", "network records written", counters?.networkChanges],
  ];
  return [
    ...gauges.map((gauge) => single(...gauge)),
    ...counts.map(([name, help, value]) =>
      single(`controller_${name}`, "counter", help, value ?? 0)
    ),
  ];
}

type MetricType = "counter" | "gauge" | "histogram";

function single(name: string, type: MetricType, help: string, value: number): string {
  return family(name, type, help, [{ labels: "", value }]);
}

function family(name: string, type: MetricType, help: string, samples: readonly Sample[]): string {
  const lines = samples.map(({ labels, value, suffix = "" }) =>
    `${name}${suffix}${labels === "" ? "" : `{${labels}}`} ${value}\n`
  );
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}
