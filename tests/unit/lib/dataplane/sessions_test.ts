import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import type { Address } from "../../../../lib/base/ids.ts";
import { ARENA_PAGES, INDEX_AT, INDEX_SIZE } from "../../../../lib/dataplane/arena.ts";
import { Sessions } from "../../../../lib/dataplane/sessions.ts";
import {
  Session,
  SESSION_BYTES,
  SESSION_OPENS,
  sessionHash,
} from "../../../../lib/kernel/data_kernel.ts";
import { noise } from "../kernel/arena.ts";

const high = (address: number) => Math.floor(address / 2 ** 32);
const low = (address: number) => address % 2 ** 32;
const homeOf = (address: number) => sessionHash(high(address), low(address), INDEX_SIZE - 1);

/** Addresses whose searches begin at few neighbouring entries, the last ones of the index among them. */
const crowd: Address[] = [];
for (let address = 0x10_0000_0001; crowd.length < 24; address += 7) {
  const home = homeOf(address);
  if (home === INDEX_SIZE - 1 || home < 3) crowd.push(address as Address);
}

const buffer = new WebAssembly.Memory({ initial: ARENA_PAGES, maximum: ARENA_PAGES }).buffer;

Deno.test("Sessions finds exactly what was set last, whatever was set and removed before", () => {
  const slots = fc.nat(23);
  const steps = fc.array(fc.record({ slot: slots, address: fc.option(slots) }), { maxLength: 80 });
  fc.assert(fc.property(steps, (list) => {
    const sessions = new Sessions(buffer);
    const model = new Map<number, Address>();
    for (const { slot, address } of list) {
      // One address has one slot at a time: control's word.
      const wanted = address === null ? undefined : crowd[address];
      const taken = [...model].some(([other, held]) => held === wanted && other !== slot);
      if (wanted === undefined || taken) {
        sessions.remove(slot);
        model.delete(slot);
      } else {
        sessions.set(slot, wanted, noise(32, slot));
        model.set(slot, wanted);
      }
      for (const one of crowd) {
        const expected = [...model].find(([, held]) => held === one)?.[0] ?? -1;
        equal(sessions.find(high(one), low(one)), expected);
      }
    }
    for (const slot of model.keys()) sessions.remove(slot);
    const left = new Uint32Array(buffer, INDEX_AT, INDEX_SIZE).findIndex((entry) => entry !== 0);
    equal(left, -1, "an empty table has an empty index");
  }));
});

Deno.test("Sessions.set() writes an entry as the kernel reads it, Sessions.remove() leaves nothing of it", () => {
  const sessions = new Sessions(buffer);
  const key = noise(32, 9);
  sessions.set(5, 0x89_e92c_eee5 as Address, key);
  const entry = () => new Uint8Array(buffer).slice(Sessions.at(5), Sessions.at(5) + SESSION_BYTES);
  deepEqual([...entry().subarray(0, 8)], [0xe5, 0xee, 0x2c, 0xe9, 0x89, 0, 0, 0]);
  deepEqual(entry().subarray(Session.KEY, Session.KEY + 32), key);
  equal(new DataView(buffer).getUint32(Sessions.at(5) + Session.FLAGS, true), SESSION_OPENS);
  sessions.remove(5);
  deepEqual(entry(), new Uint8Array(SESSION_BYTES)); // the key above all
  sessions.remove(5); // nothing there
});

Deno.test("Sessions reads the stamps the kernel leaves, and a slot set again begins at nothing", () => {
  const sessions = new Sessions(buffer);
  const address = 0x1d_adbe_ef01 as Address;
  sessions.set(2, address, noise(32, 1));
  const view = new DataView(buffer, Sessions.at(2));
  view.setUint32(Session.OPENED, 4_000_000_000, true);
  view.setFloat64(Session.BYTES, 2 ** 40, true);
  view.setUint32(Session.DIRECT_TICK, 11, true);
  view.setUint32(Session.RELAYED_TICK, 12, true);
  view.setInt32(Session.DIRECT_PATH, -16, true);
  view.setInt32(Session.RELAYED_PATH, -17, true);
  const read = () => [
    sessions.packets(2),
    sessions.bytes(2),
    sessions.directTick(2),
    sessions.relayedTick(2),
    sessions.directTag(2),
    sessions.relayedTag(2),
  ];
  deepEqual(read(), [4_000_000_000, 2 ** 40, 11, 12, -16, -17]);
  sessions.set(2, address, noise(32, 1));
  deepEqual(read(), [0, 0, 0, 0, 0, 0]);
  sessions.remove(2);
});
