import { deepEqual, equal } from "node:assert/strict";
import { type Escape, Plane, type Source } from "../../../../lib/dataplane/plane.ts";
import { PACKET_ROOM } from "../../../../lib/dataplane/records.ts";
import { Stat, statsMemory } from "../../../../lib/dataplane/stats.ts";

function rig() {
  const seen: string[] = [];
  const escape: Escape = {
    sealed: (at, length, source) => seen.push(`sealed ${at} ${length} on ${source.socketId}`),
    frame: (at, length, port) => seen.push(`frame ${at} ${length} on ${port}`),
  };
  const stats = new Float64Array(statsMemory());
  return { seen, stats, plane: new Plane(escape, stats) };
}

const source = (ipLength: number): Source => ({
  socketId: 3,
  ip: new Uint8Array(16),
  ipAt: 0,
  ipLength,
  port: 9993,
});

Deno.test("Plane.fromUdp() lets out what could be a packet and drops the rest by length", () => {
  const { seen, stats, plane } = rig();
  for (const length of [16, 28, PACKET_ROOM]) plane.fromUdp(64, length, source(4));
  for (const length of [-1, 0, 15, PACKET_ROOM + 1]) plane.fromUdp(64, length, source(16));
  plane.fromUdp(64, 28, source(0)); // from nobody
  deepEqual(seen, ["sealed 64 16 on 3", "sealed 64 28 on 3", `sealed 64 ${PACKET_ROOM} on 3`]);
  deepEqual([stats[Stat.DATAGRAMS_IN], stats[Stat.DROPPED_LENGTH]], [8, 5]);
  equal(stats[Stat.BYTES_IN], 16 + 28 + PACKET_ROOM);
});

Deno.test("Plane.fromTap() lets out frames that have a header", () => {
  const { seen, stats, plane } = rig();
  for (const length of [0, 13, 14, 1514]) plane.fromTap(0, length, 7);
  deepEqual(seen, ["frame 0 14 on 7", "frame 0 1514 on 7"]);
  deepEqual([stats[Stat.FRAMES_IN], stats[Stat.DROPPED_LENGTH]], [4, 2]);
});
