/**
 * `zt peers`: whom this node talks to, directly or through a root, how well, and why not better.
 * @module
 */
import type { PeerInfo } from "../api/view.ts";
import { command } from "../command.ts";
import { formatRoundTrip, formatSpan } from "../engine/doctor/durations.ts";
import type { PeerLink } from "../engine/doctor/peer_link.ts";
import { peerVersion, preferredPath } from "./compat_text.ts";
import { render, requireService, table } from "./context.ts";

/** `zt peers`. */
export const peers = command("peers", "The nodes this node talks to, and how")
  .example("zt peers")
  .note(
    "Loss is that of the last probes, at most 32; `since` is the age of the direct path, `heard` that of the last packet.",
  )
  .note("Link: `bonded` peers are reached by several paths at a time; see zt bond show.")
  .note("Scripts may prefer `zt listpeers`, which prints the columns of the reference.")
  .action(async (call) => {
    const list = await requireService(call).call("GET", "/peer") as PeerInfo[];
    render(call, list, peersText);
  });

const TITLES = ["address", "role", "version", "link", "trip", "loss", "since", "heard", "path"];

function peersText(list: PeerInfo[]): string {
  if (list.length === 0) return "no peers yet\n";
  const rows = list.map((peer) => {
    const { link } = peer;
    const [trip, loss, since, heard] = link
      ? qualities(link)
      : [peer.latency < 0 ? "-" : formatRoundTrip(peer.latency), "-", "-", "-"];
    const kind = link?.kind ??
      (preferredPath(peer) ? (peer.tunneled ? "tunneled" : "direct") : "relayed");
    const how = peer.isBonded && kind === "direct" ? "bonded" : kind;
    const version = peerVersion(peer);
    return [peer.address, peer.role, version, how, trip, loss, since, heard, wayText(peer)];
  });
  return table([TITLES, ...rows]);
}

function qualities({ roundTripMs, lossFraction, sinceMs, heardMs }: PeerLink): string[] {
  const span = (spanMs: number | null) => spanMs === null ? "-" : formatSpan(spanMs);
  return [
    roundTripMs === null ? "-" : formatRoundTrip(roundTripMs),
    lossFraction === null ? "-" : `${Math.round(lossFraction * 100)} %`,
    span(sinceMs),
    span(heardMs),
  ];
}

/** Where the direct path leads, or through whom and why. */
function wayText(peer: PeerInfo): string {
  const path = preferredPath(peer);
  if (path) return path.address;
  const { link, relayReason } = peer;
  if (!link?.reason) return relayReason ?? "-";
  const through = link.through === null ? "" : `through ${link.through}: `;
  return `${through}${link.reason}${againText(link)}`;
}

function againText({ nextTryMs }: PeerLink): string {
  if (nextTryMs === null) return "";
  return nextTryMs < 1_000 ? "; trying now" : `; next try in ${formatSpan(nextTryMs)}`;
}
