/**
 * An Internet of the lab with a NAT of nftables before each host that wants one. IPv4 alone, and
 * all insides have the same private addresses, as homes have.
 *
 * - `pub`: a public address, nothing before it;
 * - `eim`: one outer port for whatever is sent from an inner one, and whoever sends to it gets in;
 * - `pr`: the same port, but only who was sent to gets in from where (what Linux does: masquerade);
 * - `sym`: another outer port of chance for each destination;
 * - `dbl`: `pr` behind `pr`, as behind a home router of a provider with too few addresses;
 * - `udpb`: `pr` that lets out TCP to 80 and 443, and nothing else.
 *
 * No router answers what comes unasked, as sold ones do not: an answer would make the kernel
 * remember the flow and give its port to nobody else.
 * @module
 */
import type { Lab, LabHost, LabPort, LabSwitch } from "../../cli/engine/lab.ts";
import { addTable, type Chains, type Rule, type Verdict } from "./nftables.ts";

/** Kinds of places on the Internet. */
export const PLACES = ["pub", "eim", "pr", "sym", "dbl", "udpb"] as const;
/** One of {@linkcode PLACES}. */
export type Place = typeof PLACES[number];

const INTERNET = "44.1.1.0"; // public as addresses go: what is private is another scope
const INSIDE = "192.168.1";
const BETWEEN = "10.64.0"; // the provider's, between the two of `dbl`

/** The Internet and what hangs off it. */
export interface NatLab {
  readonly internet: LabSwitch;
  /** The router whose outer side is on the Internet, by the host it serves; none for `pub`. */
  readonly routers: ReadonlyMap<LabHost, LabHost>;
}

/** Joins hosts by an Internet, each at its place. */
export function natLab(lab: Lab, places: ReadonlyMap<LabHost, Place>): NatLab {
  const routers = new Map<LabHost, LabHost>();
  for (const [host, place] of places) {
    if (place !== "pub") routers.set(host, lab.host(`router of ${host.name}`));
  }
  const outer = [...places.keys()].map((host) => routers.get(host) ?? host);
  const internet = lab.switch(outer, { ipv4: INTERNET, ipv6: null });
  for (const [host, router] of routers) {
    const place = places.get(host)!;
    let gate = router;
    if (place === "dbl") {
      gate = lab.host(`home router of ${host.name}`);
      translate(router, connect(lab, gate, router, BETWEEN), "pr");
    }
    translate(gate, connect(lab, host, gate, INSIDE), place);
  }
  return { internet, routers };
}

/** A cable with the default route into it. @returns the router's end */
function connect(lab: Lab, inside: LabHost, router: LabHost, network: string): LabPort {
  const ends = { a: [`${network}.2/24`], b: [`${network}.1/24`] };
  const [, port] = lab.wire(inside, router, ends);
  inside.addRoute("0.0.0.0/0", `${network}.1`);
  return port;
}

/** Makes a router a NAT between its first device and the inner one. */
function translate(router: LabHost, inner: LabPort, place: Place): void {
  router.forward();
  const outside = router.deviceIndex("eth0");
  const inside = router.deviceIndex(inner.device);
  addTable(router, "nat", chainsOf(place, outside, inside));
}

function chainsOf(place: Place, outside: number, inside: number): Chains {
  const masquerade: Verdict = place === "sym" ? "masquerade fully-random" : "masquerade";
  const input: Rule[] = [[{ iif: outside }, "drop"]];
  const postrouting: Rule[] = [[{ oif: outside }, masquerade]];
  if (place === "eim") {
    const everybody: Rule = [{ iif: outside }, { protocol: "udp" }, { dnat: `${INSIDE}.2` }];
    return { prerouting: [everybody], input, postrouting };
  }
  if (place !== "udpb") return { input, postrouting };
  const web = (port: number): Rule => [{ iif: inside }, { protocol: "tcp" }, { port }, "accept"];
  const answers: Rule = [{ oif: inside }, { protocol: "tcp" }, "accept"];
  return { input, forward: [web(80), web(443), answers, ["drop"]], postrouting };
}
