/**
 * `zt peers`: whom this node talks to, directly or through a root.
 * @module
 */
import type { PeerInfo } from "../api/view.ts";
import { command } from "../command.ts";
import { peerVersion, preferredPath } from "./compat_text.ts";
import { render, requireService, table } from "./context.ts";

/** `zt peers`. */
export const peers = command("peers", "The nodes this node talks to, and how")
  .example("zt peers")
  .note("Scripts may prefer `zt listpeers`, which prints the columns of the reference.")
  .action(async (call) => {
    const list = await requireService(call).call("GET", "/peer") as PeerInfo[];
    render(call, list, peersText);
  });

function peersText(list: PeerInfo[]): string {
  if (list.length === 0) return "no peers yet\n";
  const rows = list.map((peer) => {
    const path = preferredPath(peer);
    return [
      peer.address,
      peer.role,
      peerVersion(peer),
      peer.latency < 0 ? "-" : `${peer.latency} ms`,
      path ? (peer.tunneled ? "tunneled" : "direct") : "relayed",
      path?.address ?? peer.relayReason ?? "-",
    ];
  });
  return table([["address", "role", "version", "latency", "link", "path"], ...rows]);
}
