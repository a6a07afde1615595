/**
 * Why packets to a peer go through a root, in words, and when a direct path is tried again.
 *
 * Source: spec 03 sections 8, 15, 16 and 28 (items 1, 2, 11).
 * @module
 */
import type { NatKind } from "../../../lib/node/nat_kind.ts";
import { formatSpan } from "./durations.ts";

/** What is known about a peer without a direct path. Times are milliseconds from now; null for never. */
export interface RelayFacts {
  /** The peer is a root of ours itself. */
  readonly isUpstream: boolean;
  /** Addresses it is listed with, when it is a root. */
  readonly listed: readonly string[];
  /** Families of our UDP sockets. */
  readonly hasIpv4: boolean;
  readonly hasIpv6: boolean;
  /** `forceTcpRelay` is set: UDP is not used on purpose. */
  readonly isUdpForbidden: boolean;
  /** Address of the root that relays; null when none answers. */
  readonly through: string | null;
  /** Frames went to or from it lately: only then a direct path is looked for. */
  readonly isActive: boolean;
  /** It proved to be a fellow member: only such peers are told our addresses. */
  readonly isTrusted: boolean;
  /** Paths that stopped answering and are being probed. */
  readonly suspects: readonly { readonly address: string; readonly probesLost: number }[];
  /** Addresses somebody named just now, being probed. */
  readonly probing: readonly string[];
  /** Addresses it was at before, tried now and then. */
  readonly remembered: readonly string[];
  /** Told it our addresses, so often. */
  readonly pushesSent: number;
  readonly nextGreetingMs: number | null;
  readonly nextRememberedMs: number | null;
  readonly nextProbeMs: number | null;
  readonly nextPushMs: number | null;
  readonly nat: NatKind;
  /** What is done against a NAT that uses another port for each destination; null when there is no occasion. */
  readonly ports: PortFacts | null;
}

/** Opening ports of our NAT, or trying those of the peer's. */
export interface PortFacts {
  /** So many of so many; null when nothing of the kind goes on. */
  readonly opened: readonly [number, number] | null;
  readonly tried: readonly [number, number] | null;
  /** Both NATs do it. */
  readonly isHopeless: boolean;
  /** Milliseconds since the last attempt began, and until the next may; null without one. */
  readonly lastMs: number | null;
  readonly nextMs: number | null;
}

/** The answer. */
export interface RelayReason {
  readonly text: string;
  /** Milliseconds until something is tried; null when nothing is until there is traffic. */
  readonly nextTryMs: number | null;
}

const NO_SOCKET = "no UDP socket is open: this machine has no address, or local.conf allows none";
const SHOWN_MAX = 3; // addresses named in a sentence

/** The one cause the user should look at first. */
export function relayReason(facts: RelayFacts): RelayReason {
  if (facts.isUpstream) return rootReason(facts);
  const hasUdp = facts.hasIpv4 || facts.hasIpv6;
  if (facts.isUdpForbidden) {
    return { text: "forceTcpRelay is set: UDP is not used", nextTryMs: null };
  }
  if (!hasUdp) return { text: NO_SOCKET, nextTryMs: null };
  if (facts.through === null) {
    return { text: "no root answers, so nobody can introduce us", nextTryMs: facts.nextGreetingMs };
  }
  if (facts.suspects.length > 0) {
    const lost = facts.suspects.map(({ address, probesLost }) =>
      `${address} (${probesLost} ${probesLost === 1 ? "probe" : "probes"} unanswered)`
    );
    const text = `its direct path stopped answering: ${shown(lost)}`;
    return { text, nextTryMs: facts.nextProbeMs };
  }
  if (!facts.isActive) {
    return {
      text: "not in use: a direct path is looked for with the next packet",
      nextTryMs: null,
    };
  }
  const ports = portsReason(facts.ports);
  if (ports) return ports;
  if (facts.probing.length > 0) {
    const text = `being introduced: probing ${shown(facts.probing)}`;
    return { text: text + natRemark(facts), nextTryMs: 0 };
  }
  if (facts.remembered.length > 0) {
    const text = `it does not answer at ${shown(facts.remembered)}`;
    return { text: text + natRemark(facts), nextTryMs: soonest(facts) };
  }
  if (!facts.isTrusted) {
    const text =
      "it has not shown to be a member of one of our networks, so it is not told where we are";
    return { text, nextTryMs: null };
  }
  const text = facts.pushesSent === 0
    ? "no address of it is known yet"
    : "it was told where we are, and does not answer from there";
  return { text: text + natRemark(facts), nextTryMs: soonest(facts) };
}

/** What is said of ports, when they are what matters now. */
function portsReason(ports: PortFacts | null): RelayReason | undefined {
  if (!ports) return undefined;
  const { opened, tried, isHopeless } = ports;
  const doing: string[] = [];
  if (opened) doing.push(`opening ports of ours for it (${opened[0]} of ${opened[1]})`);
  if (tried) doing.push(`trying ports of its NAT (${tried[0]} of ${tried[1]})`);
  if (doing.length > 0) {
    const text = `a NAT between uses another port for each destination: ${doing.join(", ")}`;
    return { text, nextTryMs: 0 };
  }
  if (!isHopeless) return undefined;
  const text =
    "both NATs use another port for each destination, so neither can be told where to send";
  return { text, nextTryMs: null };
}

function rootReason(facts: RelayFacts): RelayReason {
  const families = facts.listed.map((address) => address.includes(":"));
  const usable = families.some((isIpv6) => isIpv6 ? facts.hasIpv6 : facts.hasIpv4);
  if (facts.listed.length === 0) {
    return { text: "this root is listed without an address", nextTryMs: null };
  }
  if (!usable && !facts.isUdpForbidden) {
    if (!facts.hasIpv4 && !facts.hasIpv6) return { text: NO_SOCKET, nextTryMs: null };
    const family = families.every((isIpv6) => isIpv6) ? "IPv6" : "IPv4";
    const text = `this root has ${family} only, and this machine has none`;
    return { text, nextTryMs: null };
  }
  return {
    text: `this root does not answer at ${shown(facts.listed)}`,
    nextTryMs: facts.nextGreetingMs ?? facts.nextProbeMs,
  };
}

/** What of it lies with NATs. */
function natRemark({ nat, ports }: RelayFacts): string {
  const ours = nat === "symmetric" ? "; our own NAT uses another port for each destination" : "";
  if (!ports || ports.lastMs === null || ports.nextMs === null) return ours;
  const [last, next] = [ports.lastMs, ports.nextMs].map(formatSpan);
  return `${ours}; ports were opened or tried ${last} ago and may be again in ${next}`;
}

function soonest({ nextRememberedMs, nextPushMs }: RelayFacts): number | null {
  const times = [nextRememberedMs, nextPushMs].filter((time) => time !== null);
  return times.length > 0 ? Math.min(...times) : null;
}

function shown(items: readonly string[]): string {
  const more = items.length - SHOWN_MAX;
  return items.slice(0, SHOWN_MAX).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
