import { deepEqual, equal } from "node:assert/strict";
import type { Mac } from "../../../../lib/base/ids.ts";
import { Announcements } from "../../../../lib/network/announcements.ts";

const group = (mac: number) => ({ mac: mac as Mac, adi: 0 });

/** When which groups are announced again. */
function schedule(announcements: Announcements, untilMs: number): [number, number[]][] {
  const times: [number, number[]][] = [];
  while (announcements.dueMs < untilMs) {
    const { dueMs } = announcements;
    times.push([dueMs, announcements.take(dueMs).map(({ mac }) => mac)]);
  }
  return times;
}

Deno.test("Announcements repeat a group at growing intervals, six times", () => {
  const announcements = new Announcements();
  announcements.add([group(1)], 10_000);
  deepEqual(schedule(announcements, Infinity).map(([atMs]) => atMs - 10_000), [
    1_000,
    2_000,
    4_000,
    8_000,
    16_000,
    32_000,
  ]);
  equal(announcements.size, 0);
});

Deno.test("Announcements give a group that comes later its own times, together with what is due about then", () => {
  const announcements = new Announcements();
  announcements.add([group(1)], 0);
  announcements.add([group(2)], 300);
  announcements.take(1_000);
  announcements.add([group(3)], 900); // due at 1,900, the others at 2,000
  deepEqual(schedule(announcements, 3_500), [[1_900, [1, 2, 3]], [2_900, [3]]]);
});

Deno.test("Announcements begin anew with a group that is announced anew", () => {
  const announcements = new Announcements();
  announcements.add([group(1)], 0);
  schedule(announcements, 10_000);
  announcements.add([group(1)], 10_000);
  deepEqual(schedule(announcements, 14_000), [[11_000, [1]], [12_000, [1]]]);
});

Deno.test("Announcements of groups that come by the thousand do not pile up", () => {
  const announcements = new Announcements();
  for (let batch = 0; batch < 3; batch++) {
    announcements.add(Array.from({ length: 4_000 }, (_, i) => group(batch * 4_000 + i)), 0);
  }
  equal(announcements.size, 4_096);
  equal(announcements.take(1_000).length, 4_096);
});
