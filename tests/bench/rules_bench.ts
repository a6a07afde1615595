/**
 * Measures the packet filter: nanoseconds and bytes allocated per decision, with accept-all and
 * with 40 rules such as people write.
 *
 *     deno run -A --v8-flags=--expose-gc tests/bench/rules_bench.ts
 *
 * @module
 */
import { type Address, type Mac, parseNetworkId } from "../../lib/base/ids.ts";
import { compileSource } from "../../lib/controller/language/compiler.ts";
import { bookFromSource } from "../../lib/controller/language/rule_book.ts";
import { NetworkFilter } from "../../lib/network/rules/network_filter.ts";
import { ACCEPT_ALL, ALLOW_LIST } from "./rule_sets.ts";

const CALLS = 1_000_000;
const ROUNDS = 7;
const ALLOCATION_CALLS = 10_000;
const FRAME_AT = 100; // somewhere inside a larger buffer, as in the data plane
const FRAME_LENGTH = 1_400;

function filterOf(source: string): NetworkFilter {
  const { rules } = bookFromSource(compileSource(source));
  return new NetworkFilter({
    address: 0x5811208aac as Address,
    networkId: parseNetworkId("b52e931836000001")!,
    flags: 0,
    timestampMs: 0,
    credentialWindowMs: 0,
    rules,
    tags: [],
    capabilities: [],
    ownerships: [],
    staticIps: [],
  }, () => 0);
}

/** A TCP segment with ACK to port 50000: it reaches the last rule. */
function segment(): Uint8Array {
  const buffer = new Uint8Array(FRAME_AT + FRAME_LENGTH);
  buffer.set([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6], FRAME_AT);
  buffer.set([0x9c, 0x40, 0xc3, 0x50], FRAME_AT + 20);
  buffer[FRAME_AT + 33] = 0x10;
  return buffer;
}

function measure(name: string, source: string): number {
  const filter = filterOf(source);
  const peer = filter.peer(0xb3e8c4e1ab as Address);
  const buffer = segment();
  filter.frame.setMacs(0x02b3e8f2f938 as Mac, 0x02581116923f as Mac);
  let accepted = 0;
  const run = (calls: number) => {
    for (let i = 0; i < calls; i++) {
      filter.frame.load(buffer, FRAME_AT, FRAME_LENGTH, 0x0800);
      accepted += filter.inbound(peer);
    }
  };
  run(CALLS);
  const before = Deno.memoryUsage().heapUsed;
  run(ALLOCATION_CALLS);
  const allocatedBytes = (Deno.memoryUsage().heapUsed - before) / ALLOCATION_CALLS;
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const startMs = performance.now();
    run(CALLS);
    best = Math.min(best, (performance.now() - startMs) * 1e6 / CALLS);
  }
  if (accepted !== CALLS * (ROUNDS + 1) + ALLOCATION_CALLS) throw new Error("a frame was dropped");
  console.log(`${name}: ${best.toFixed(1)} ns, ${allocatedBytes.toFixed(2)} B a decision`);
  return best;
}

if (import.meta.main) {
  measure("accept-all", ACCEPT_ALL);
  const { rules } = compileSource(ALLOW_LIST);
  measure(`${rules.length} rules`, ALLOW_LIST);
}
