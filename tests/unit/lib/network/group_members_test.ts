import assert from "node:assert/strict";
import type { Address, Mac, NetworkId } from "../../../../lib/base/ids.ts";
import { GroupMembers } from "../../../../lib/network/group_members.ts";

const NETWORK = 0x1234n as NetworkId;
const group = (adi: number) => ({ mac: 0xffff_ffff_ffff as Mac, adi });
const member = (n: number) => n as Address;

Deno.test("GroupMembers.next() names who subscribes, by network and whole group", () => {
  const members = new GroupMembers();
  members.add(NETWORK, group(1), member(7), 0);
  members.add(NETWORK, group(1), member(8), 0);
  members.add(NETWORK, group(2), member(9), 0);
  assert.deepEqual(members.next(NETWORK, group(1), 9), [7, 8]);
  assert.deepEqual(members.next(NETWORK, group(3), 9), []);
  assert.deepEqual(members.next(0x9999n as NetworkId, group(1), 9), []);
});

Deno.test("GroupMembers.next() names everybody in turn, no more than asked for and nobody twice", () => {
  const members = new GroupMembers();
  for (let n = 1; n <= 5; n++) members.add(NETWORK, group(1), member(n), 0);
  const next = (limit: number) => members.next(NETWORK, group(1), limit);
  assert.deepEqual([next(2), next(2), next(2)], [[1, 2], [3, 4], [5, 1]]);
  assert.deepEqual(next(9), [2, 3, 4, 5, 1]);
  assert.deepEqual(next(0), []);
  assert.equal(members.count(NETWORK, group(1)), 5);
  members.add(NETWORK, group(1), member(3), 1_000);
  members.expire(600_000);
  assert.deepEqual(next(9), [3], "being named renews nothing");
});

Deno.test("GroupMembers.add() counts a repeated subscription once", () => {
  const members = new GroupMembers();
  for (let i = 0; i < 3; i++) assert.ok(members.add(NETWORK, group(1), member(7), i));
  assert.equal(members.size, 1);
  members.remove(NETWORK, group(1), member(7));
  members.remove(NETWORK, group(1), member(7));
  assert.equal(members.size, 0);
});

Deno.test("GroupMembers.expire() forgets what was not repeated within ten minutes", () => {
  const members = new GroupMembers();
  members.add(NETWORK, group(1), member(7), 0);
  members.add(NETWORK, group(1), member(8), 0);
  members.add(NETWORK, group(1), member(8), 500_000);
  members.expire(599_999);
  assert.equal(members.size, 2);
  members.expire(600_000);
  assert.deepEqual(members.next(NETWORK, group(1), 9), [8]);
  assert.equal(members.size, 1);
});

Deno.test("GroupMembers.add() holds 4096 records of one member, and leaves room for others", () => {
  const members = new GroupMembers();
  for (let i = 0; i < 4_096; i++) assert.ok(members.add(NETWORK, group(i), member(7), 0));
  assert.equal(members.add(NETWORK, group(5_000), member(7), 0), false);
  assert.ok(members.add(NETWORK, group(3), member(7), 1), "a known one is renewed");
  assert.ok(members.add(NETWORK, group(5_000), member(8), 0));
  members.remove(NETWORK, group(0), member(7));
  assert.ok(members.add(NETWORK, group(5_000), member(7), 0));
});

Deno.test("GroupMembers.add() holds 524288 records in all", () => {
  const members = new GroupMembers();
  let count = 0;
  for (let who = 1; count < 524_288; who++) {
    for (let i = 0; i < 4_096; i++, count++) members.add(NETWORK, group(i), member(who), 0);
  }
  assert.equal(members.size, 524_288);
  assert.ok(members.add(NETWORK, group(1), member(99_999), 0));
  assert.equal(members.size, 524_288);
  members.expire(600_000);
  assert.equal(members.size, 0);
  assert.ok(members.add(NETWORK, group(1), member(99_999), 600_000));
});

Deno.test("GroupMembers.add() makes room for who has fewer records than others, at their cost", () => {
  const members = new GroupMembers(1_000);
  for (let who = 1; who <= 10; who++) {
    for (let i = 0; i < 100; i++) assert.ok(members.add(NETWORK, group(i), member(who), 0));
  }
  const added = (who: number, from: number) => {
    let count = 0;
    while (members.add(NETWORK, group(from + count), member(who), 0)) count++;
    return count;
  };
  assert.equal(added(1, 200), 0, "it has as many as the others");
  assert.ok(added(99, 200) >= 40 && added(98, 400) >= 40, "half of what would be theirs");
  assert.equal(members.size, 1_000);
  assert.equal(
    added(1, 400),
    0,
    "who lost some does not get them back from those who have no more",
  );
});

Deno.test("GroupMembers.add() keeps nothing of what it refuses", () => {
  const members = new GroupMembers();
  for (let i = 0; i < 4_096; i++) members.add(NETWORK, group(i), member(7), 0);
  const { set } = Map.prototype;
  let kept = 0;
  Map.prototype.set = function (key, value) {
    kept++;
    return set.call(this, key, value);
  };
  try {
    assert.equal(members.add(0x9999n as NetworkId, group(5_000), member(7), 0), false);
  } finally {
    Map.prototype.set = set;
  }
  assert.equal(kept, 0);
});
