import assert from "node:assert/strict";
import { linkContext } from "../../../../cli/engine/doctor/peer_link.ts";
import { PeerLog } from "../../../../cli/engine/peer_log.ts";
import { markSuspect } from "../../../../lib/peer/peer.ts";
import { Verb } from "../../../../lib/wire/packet.ts";
import { ALICE, Bench, BOB, ROOT } from "../../lib/node/harness.ts";

Deno.test("PeerLog says how a peer is reached, and why by relay, each time it changes and not between", () => {
  const bench = new Bench();
  const [, alice] = [ROOT, ALICE, BOB].map((identity) => bench.add(identity));
  bench.run(1_000);
  const lines: string[] = [];
  const log = new PeerLog((line, level) => {
    assert.equal(level, "debug");
    lines.push(line);
  });
  const look = () => {
    log.lookAtAll(linkContext(alice, alice.vl1.nowMs, false));
    return lines.splice(0);
  };
  assert.deepEqual(look(), ["peer 1111111111: direct, 44.0.0.1/9993, 0 ms"]);
  assert.deepEqual(look(), []);
  alice.vl1.send(BOB.address, Verb.NOP, new Uint8Array(0));
  bench.run(3_000);
  assert.deepEqual(look(), ["peer 3444444444: direct, 44.0.0.4/9993, 0 ms"]);
  const bob = alice.vl1.peers.get(BOB.address)!;
  for (const path of bob.paths) markSuspect(path);
  const [line, ...others] = look();
  assert.match(line, /^peer 3444444444: relayed by 1111111111: .*44\.0\.0\.4/);
  assert.deepEqual(others, []);
  alice.vl1.peers.delete(BOB.address);
  assert.deepEqual(look(), ["peer 3444444444: forgotten"]);
  assert.deepEqual(look(), []);
});
