/**
 * Trying an HTTP proxy on purpose, for a diagnosis: whether it is reached, lets us in and leads to
 * a relay. Nothing is sent to the relay itself.
 * @module
 */
import { type Endpoint, formatEndpoint } from "../../../lib/base/ip.ts";
import { ProxyDial, type ProxyHop, type ProxyTrouble } from "./proxy_dial.ts";
import type { ProxyInUse, ProxyView } from "./proxy_in_use.ts";

/** What came of it. */
export type ProxyFacts = ProxyView & {
  /** Of the trouble; null without one, or when there was nothing to ask for. */
  kind: ProxyTrouble["kind"] | "setting" | null;
  /** "ip/port" of the relay it was asked for; null when there was none to ask for. */
  target: string | null;
};

/**
 * Takes as long as finding its address and asking it once.
 * @param target A relay; undefined when none is known that would be reached through the proxy
 * @returns undefined without a proxy
 */
export async function probeProxy(
  proxy: ProxyInUse,
  target: Endpoint | undefined,
): Promise<ProxyFacts | undefined> {
  const { view } = proxy;
  if (!view) return undefined;
  const facts = { ...view, kind: null, target: target ? formatEndpoint(target) : null };
  if (!proxy.choice?.proxy) return { ...facts, kind: "setting" };
  if (!target) return facts;
  proxy.forget(); // who asks wants to know how it is now
  const hops = await proxy.hops();
  const troubles = await Promise.all(hops.map((hop) => dial(hop, target)));
  const trouble = troubles.every((one) => one) ? troubles[0] : undefined;
  if (hops.length === 0) return { ...facts, ...proxy.view, kind: "unreachable" };
  proxy.note(hops[troubles.indexOf(trouble)], trouble);
  return { ...facts, trouble: trouble?.text ?? null, kind: trouble?.kind ?? null };
}

function dial(hop: ProxyHop, target: Endpoint): Promise<ProxyTrouble | undefined> {
  const { promise, resolve } = Promise.withResolvers<ProxyTrouble | undefined>();
  new ProxyDial(hop, target, {
    onThrough: (socket) => {
      socket.destroy();
      resolve(undefined);
    },
    onRefused: resolve,
  });
  return promise;
}
