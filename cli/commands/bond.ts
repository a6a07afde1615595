/**
 * `zt bond`: peers that are reached by several paths at a time, and how each path does.
 * @module
 */
import { ApiError, UsageError } from "../../lib/base/errors.ts";
import type { PathInfo, PeerInfo } from "../api/view.ts";
import { type Call, command } from "../command.ts";
import { formatRoundTrip, formatSpan } from "../engine/doctor/durations.ts";
import type { Json } from "../engine/json.ts";
import { addressOf, render, requireService, table } from "./context.ts";

const list = command("list", "The peers with a bond")
  .example("zt bond list")
  .action(async (call) => {
    const peers = await requireService(call).call("GET", "/peer") as PeerInfo[];
    render(call, peers.filter(({ isBonded }) => isBonded), listText);
  });

const show = command("show <peer>", "The paths of a bond, and what each is like")
  .example("zt bond show 8056c2e21c")
  .note(
    "State: `active` paths carry frames, `next` ones take over when they fail, `spare` ones lead where another does, " +
      "`out` ones fail, wait for upDelay or are not wanted by the policy.",
  )
  .action((call) => showBond(call, call.argument(0)));

const rotate = command("rotate <peer>", "Go on by the next path of an active-backup bond")
  .example("zt bond rotate 8056c2e21c")
  .action((call) => rotateBond(call, call.argument(0)));

const setMtu = command("setmtu <mtu> <interface> <ip>", "Give the paths of one link an MTU")
  .example("zt bond setmtu 1400 eth1 192.0.2.7")
  .note("MTU: bytes of UDP payload, 68 to 65535. `mtu` of a link in local.conf does it for good.")
  .action(async (call) => {
    const [mtu, device, ip] = [0, 1, 2].map((index) => call.argument(index));
    const path = `/bond/setmtu/${[mtu, device, ip].map(encodeURIComponent).join("/")}`;
    const refusal = `no bond has a path by ${device} at ${ip}, or ${mtu} is not from 68 to 65535`;
    const done = await ask(call, "POST", path, refusal);
    render(call, done, () => `MTU of ${device} set to ${mtu}\n`);
  });

/** `zt bond`; the reference puts the peer before the verb. */
export const bond = command("bond [words...]", "Several paths to a peer used together")
  .example("zt bond list")
  .example("zt bond show 8056c2e21c")
  .note(
    'Bonds are configured in local.conf, e.g. {"settings":{"defaultBondingPolicy":"active-backup"}}; policies are ' +
      "active-backup, broadcast, balance-rr, balance-xor, balance-aware and those under `policies`. " +
      "Read when the service starts.",
  )
  .holds([list, show, rotate, setMtu])
  .action(async (call) => {
    const [peer, verb] = call.args;
    if (peer !== undefined && verb === "show") return await showBond(call, peer);
    if (peer !== undefined && verb === "rotate") return await rotateBond(call, peer);
    throw new UsageError("say what to do: list, show, rotate or setmtu");
  });

async function showBond(call: Call, word: string): Promise<void> {
  const address = addressOf(word);
  const path = `/bond/show/${address}`;
  const peer = await ask(call, "GET", path, `${address} has no bond; see: zt bond list`);
  render(call, peer as PeerInfo, showText);
}

async function rotateBond(call: Call, word: string): Promise<void> {
  const address = addressOf(word);
  const refusal = `${address} has no active-backup bond with a second path`;
  const done = await ask(call, "POST", `/bond/rotate/${address}`, refusal);
  render(call, done, () => `${address} goes by its next path\n`);
}

/** A request the service refuses without saying why. */
async function ask(call: Call, method: string, path: string, refusal: string): Promise<Json> {
  try {
    return await requireService(call).call(method, path, method === "GET" ? undefined : {});
  } catch (error) {
    if (error instanceof ApiError && error.status === 400) throw new ApiError(400, refusal);
    throw error;
  }
}

function listText(peers: PeerInfo[]): string {
  if (peers.length === 0) return "no bonds\n";
  const rows = peers.map((peer) => [
    peer.address,
    peer.bondingPolicyStr ?? "-",
    `${peer.numAliveLinks}/${peer.numTotalLinks}`,
    [...new Set(peer.paths.filter(({ bonded }) => bonded).map(({ ifname }) => ifname))].join(" "),
  ]);
  return table([["peer", "policy", "alive", "interfaces"], ...rows]);
}

const PATH_TITLES = [
  "interface",
  "port",
  "to",
  "state",
  "latency",
  "jitter",
  "loss",
  "quality",
  "flows",
  "heard",
];

function showText(peer: PeerInfo): string {
  const title = `${peer.address}: ${peer.bondingPolicyStr}, ${peer.numAliveLinks} of ` +
    `${peer.numTotalLinks} paths alive, silent ones fail after ` +
    `${formatSpan(peer.failoverInterval ?? 0)}\n`;
  const rows = peer.paths.map((path) => [
    path.ifname || "-",
    String(path.localPort),
    path.address,
    stateOf(path, peer),
    path.latencyMean ? formatRoundTrip(path.latencyMean) : "-",
    path.latencyMean ? formatRoundTrip(path.latencyVariance ?? 0) : "-",
    `${Math.round((path.packetLossRatio ?? 0) * 100)} %`,
    path.relativeQuality ? path.relativeQuality.toFixed(2) : "-",
    path.assignedFlowCount ? `${path.assignedFlowCount}/256` : "-",
    formatSpan(path.lastInAge ?? 0),
  ]);
  return title + table([PATH_TITLES, ...rows]);
}

const ONE_AT_A_TIME = "active-backup";

function stateOf(path: PathInfo, peer: PeerInfo): string {
  const { bonded, preferred } = path;
  if (!bonded) {
    const stands = peer.paths.some((other) => other.bonded && wayOf(other) === wayOf(path));
    return stands ? "spare" : "out";
  }
  return preferred || peer.bondingPolicyStr !== ONE_AT_A_TIME ? "active" : "next";
}

function wayOf({ ifname, address }: PathInfo): string {
  return `${ifname} ${address.split("/")[0]}`;
}
