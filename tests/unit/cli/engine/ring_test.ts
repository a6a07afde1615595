import { deepEqual, equal, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { ringMemory, RingReader, RingWriter } from "../../../../cli/engine/ring.ts";

function pair(capacityBytes: number): { writer: RingWriter; reader: RingReader } {
  const memory = ringMemory(capacityBytes);
  return { writer: new RingWriter(memory), reader: new RingReader(memory) };
}

function take(reader: RingReader): Uint8Array | undefined {
  const at = reader.next();
  return at < 0 ? undefined : reader.bytes.slice(at, at + reader.length);
}

Deno.test("a ring gives back what was written, in order, whatever the lengths and pauses", () => {
  const step = fc.oneof(
    fc.record({ write: fc.uint8Array({ maxLength: 124 }) }),
    fc.record({ take: fc.integer({ min: 0, max: 9 }) }),
    fc.constant({ release: true }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const { writer, reader } = pair(256);
      const expected: Uint8Array[] = [];
      let dropped = 0;
      for (const one of steps) {
        if ("write" in one) {
          if (writer.push(one.write)) expected.push(one.write);
          else dropped++;
        } else if ("take" in one) {
          for (let i = 0; i < one.take; i++) deepEqual(take(reader), expected.shift());
        } else {
          reader.release();
        }
      }
      equal(writer.dropped, dropped);
      while (expected.length > 0) deepEqual(take(reader), expected.shift());
      equal(take(reader), undefined);
      reader.release();
      ok(
        writer.push(new Uint8Array(writer.recordLengthMax)),
        "an empty ring takes the longest record",
      );
    }),
    { numRuns: 500 },
  );
});

Deno.test("a ring keeps working when its counters wrap around 2^32", () => {
  const memory = ringMemory(64);
  const words = new Int32Array(memory);
  words[0] = words[16] = -24; // both ends have moved 2^32 - 24 bytes
  const [writer, reader] = [new RingWriter(memory), new RingReader(memory)];
  for (let i = 0; i < 40; i++) {
    equal(writer.push(Uint8Array.of(i, i, i)), true);
    deepEqual(take(reader), Uint8Array.of(i, i, i));
    reader.release();
  }
});

Deno.test("RingWriter.reserve() says no when full, keeps the spare room, and counts drops", () => {
  const { writer, reader } = pair(128);
  const record = new Uint8Array(28); // 32 with its length
  for (let i = 0; i < 3; i++) ok(writer.reserve(28, 32) >= 0 && (writer.commit(), true));
  equal(writer.reserve(28, 32), -1);
  equal(writer.push(record), true); // without spare
  equal(writer.push(record), false);
  equal(writer.dropped, 2);
  ok(take(reader));
  equal(writer.push(record), false); // taken but not released
  reader.release();
  equal(writer.push(record), true);
  throws(() => writer.reserve(61), RangeError);
});

Deno.test("RingWriter.commit() may shorten a record, and may not run twice", () => {
  const { writer, reader } = pair(64);
  const at = writer.reserve(20);
  writer.bytes.set([5, 6, 7], at);
  writer.commit(3);
  throws(() => writer.commit(0), /committed once/);
  deepEqual(take(reader), Uint8Array.of(5, 6, 7));
  equal(take(reader), undefined);
});

Deno.test("the sleeping flag lets exactly one wake through, and none for a reader that is awake", () => {
  const { writer, reader } = pair(64);
  equal(reader.sleep(), true);
  equal(writer.mustWake(), false); // nothing to wake it for
  writer.push(Uint8Array.of(1));
  deepEqual([writer.mustWake(), writer.mustWake()], [true, false]);
  equal(reader.sleep(), false); // there is something
  take(reader);
  writer.push(Uint8Array.of(2));
  equal(writer.mustWake(), false); // awake
  take(reader);
  equal(reader.sleep(), true);
  reader.awake();
  writer.push(Uint8Array.of(3));
  equal(writer.mustWake(), false);
});

Deno.test("ringMemory() wants a power of two", () => {
  for (const capacity of [0, 32, 100, 2 ** 31]) throws(() => ringMemory(capacity), RangeError);
});

Deno.test("two threads pass 50,000 records through a small ring without losing one or a wake", async () => {
  const COUNT = 50_000;
  const memory = ringMemory(16_384);
  const reader = new RingReader(memory);
  const worker = new Worker(new URL("./ring_worker.ts", import.meta.url), { type: "module" });
  const done = Promise.withResolvers<void>();
  let next = 0;
  reader.sleep();
  worker.onmessage = () => {
    do {
      for (let record = take(reader); record; record = take(reader)) {
        const expected = new Uint8Array(4 + (next * 37) % 200).fill(next & 0xff);
        new DataView(expected.buffer).setUint32(0, next);
        if (record.some((byte, i) => byte !== expected[i]) || record.length !== expected.length) {
          return done.reject(new Error(`record ${next} is not what was written`));
        }
        next++;
        reader.release();
      }
    } while (!reader.sleep());
    if (next === COUNT) done.resolve();
  };
  worker.postMessage({ memory, count: COUNT });
  await done.promise;
  worker.terminate();
});
