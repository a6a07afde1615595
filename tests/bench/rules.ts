/**
 * What filtering costs in the whole product: the same pair of nodes carries the same traffic, with every frame let through
 * unseen and with rules such as people write, one after the other and back in the other order.
 * @module
 */
import { compileSource, sourceToJson } from "../../lib/controller/language/compiler.ts";
import type { Pair } from "./pair.ts";
import { ACCEPT_ALL, ALLOW_LIST } from "./rule_sets.ts";
import { type Lane, STEPS, type Values, warmUp } from "./steps.ts";

const ORDER = ["accept", "rules", "rules", "accept", "accept", "rules"] as const;

/**
 * Measures one stream and small datagrams, three times each way.
 * @returns the best of each, since what else runs on the machine only ever makes them worse; named as the steps name them, behind
 * "accept" or "rules": `rules.tcp1Mbps`
 */
export async function measureRules(pair: Pair, lane: Lane, timeMs: number): Promise<Values> {
  const values: Values = {};
  for (const step of [STEPS.tcp1, STEPS.udp]) await step(lane, timeMs); // who comes first must not pay for all
  for (const kind of ORDER) {
    await setRules(pair, kind === "accept" ? ACCEPT_ALL : ALLOW_LIST);
    await warmUp(lane);
    const found: Values = { ...await STEPS.tcp1(lane, timeMs), ...await STEPS.udp(lane, timeMs) };
    for (const [measured, value] of Object.entries(found)) {
      const name = `${kind}.${measured}`;
      const best = measured.includes("Cpu") ? Math.min : Math.max;
      values[name] = best(values[name] ?? value, value);
    }
  }
  return values;
}

/** Gives the network other rules and waits until both nodes have them. */
async function setRules({ root, a, b, network }: Pair, source: string): Promise<void> {
  const revisions = await Promise.all([a, b].map((node) => node.network(network)));
  const path = `/controller/network/${network}`;
  // The name changes too: a network set to what it is already is not sent out again.
  const name = `rules-${Date.now() % 1_000_000}`;
  await root.api("POST", path, { name, ...sourceToJson(compileSource(source)).config as object });
  await Promise.all([a, b].map((node, i) =>
    node.until("the rules changed", async () => {
      const { netconfRevision } = await node.network(network);
      return netconfRevision > revisions[i].netconfRevision;
    })
  ));
}
