import { deepEqual, equal } from "node:assert/strict";
import { UDP_IN_AT } from "../../../../lib/dataplane/arena.ts";
import { PACKET_ROOM } from "../../../../lib/dataplane/records.ts";
import { Stat } from "../../../../lib/dataplane/stats.ts";
import { makeFrame } from "../kernel/frames.ts";
import { noise } from "../kernel/arena.ts";
import { addressed, ALICE, Bench, BOB, pair, PORT } from "./rig.ts";

Deno.test("Plane.fromUdp() lets out what could be a packet and drops the rest by length", () => {
  const bench = new Bench(ALICE);
  for (const length of [17, 28, PACKET_ROOM]) bench.udp(noise(length, length));
  for (const length of [0, 16, PACKET_ROOM + 1]) bench.udp(noise(length, length));
  bench.plane.fromUdp(UDP_IN_AT, -1, 1, bench.source); // cut by the system
  bench.udp(noise(28, 1), 28, { ...bench.source, ipLength: 0 }); // from nobody
  const escaped = bench.takeEscaped();
  deepEqual(escaped.map(({ how, bytes }) => [how, bytes.length]), [
    ["sealed", 17],
    ["sealed", 28],
    ["sealed", PACKET_ROOM],
  ]);
  deepEqual([bench.stat(Stat.DATAGRAMS_IN), bench.stat(Stat.DROPPED_LENGTH)], [8, 5]);
});

Deno.test("Plane.fromTap() lets out frames that have a header, of a port without a network", () => {
  const bench = new Bench(ALICE);
  const frames = [14, 1514].map((length) => noise(length, length));
  bench.tap(new Uint8Array(0), new Uint8Array(13), ...frames);
  deepEqual(bench.takeEscaped(), frames.map((bytes) => ({ how: "frame", bytes, from: PORT })));
  deepEqual([bench.stat(Stat.FRAMES_IN), bench.stat(Stat.DROPPED_LENGTH)], [4, 2]);
});

Deno.test("a frame into one plane comes out of another unchanged", () => {
  const [alice, bob] = pair();
  const frame = addressed(makeFrame({ body: noise(1_000, 1) }), ALICE, BOB);
  const [run] = alice.tap(frame).takeRuns();
  bob.udp(run.bytes, run.segment);
  deepEqual(bob.takeWritten(), [{ port: PORT, bytes: frame }]);
  equal(bob.takeEscaped().length, 0);
});
