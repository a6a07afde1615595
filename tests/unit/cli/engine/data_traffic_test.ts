import { deepEqual, equal, ok } from "node:assert/strict";
import { Stat } from "../../../../lib/dataplane/stats.ts";
import { ALICE, BOB } from "../../lib/dataplane/rig.ts";
import { tapTest } from "../../ffi/privileged.ts";
import { pause, Station, until } from "./data_station.ts";

/** Two members whose machines know each other's MAC. */
async function twoStations(): Promise<[Station, Station]> {
  const stations: [Station, Station] = [new Station(ALICE, 1), new Station(BOB, 2)];
  Station.introduce(stations);
  const [alice, bob] = stations;
  await until("the first datagram", () => {
    alice.send(bob, Uint8Array.of(0));
    return bob.received().length > 0;
  });
  await until("an answer", () => {
    bob.send(alice, Uint8Array.of(0));
    return alice.received().length > 0;
  });
  return stations;
}

tapTest("frames of members go from TAP to TAP without control", async () => {
  const [alice, bob] = await twoStations();
  const before = alice.escaped + bob.escaped;
  for (let i = 0; i < 200; i++) alice.send(bob, new Uint8Array(1_000).fill(i));
  const got: number[] = [];
  await until("every datagram", () => {
    const received = bob.received().filter(({ bytes }) => bytes.length === 1_000);
    got.push(...received.map(({ bytes }) => bytes[0]));
    return got.length === 200;
  });
  deepEqual(got, Array.from({ length: 200 }, (_, i) => i));
  equal(alice.escaped + bob.escaped, before);
  await until("both to report all of them", () => {
    const [there, back] = [
      alice.traffic.out === bob.traffic.in,
      bob.traffic.out === alice.traffic.in,
    ];
    return there && back && bob.traffic.in >= 200 && alice.traffic.in > 0;
  });
  equal(alice.plane.stats[Stat.DROPPED_RULES] + bob.plane.stats[Stat.DROPPED_UNAUTHENTIC], 0);
  await alice.close();
  await bob.close();
});

tapTest(
  "a Worker that dies under traffic takes its sessions up again within a second",
  async () => {
    const EVERY_MS = 5;
    const PACKETS = 400;
    const [alice, bob] = await twoStations();
    const got = new Set<number>();
    const receive = () => {
      for (const { bytes } of bob.received()) {
        if (bytes.length === 4) got.add(new DataView(bytes.buffer).getUint32(0));
      }
    };
    for (let i = 0; i < PACKETS; i++) {
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setUint32(0, i);
      alice.send(bob, bytes);
      if (i === 100) alice.plane.breakWorker();
      if (i === 200) bob.plane.breakWorker();
      await pause(EVERY_MS);
      receive();
    }
    await until("the last datagram", () => {
      receive();
      return got.has(PACKETS - 1);
    });
    equal(alice.restarts.length + bob.restarts.length, 2);
    deepEqual([alice.failures, bob.failures], [[], []]);
    let longest = 0;
    for (let i = 0, missing = 0; i < PACKETS; i++) {
      missing = got.has(i) ? 0 : missing + 1;
      longest = Math.max(longest, missing);
    }
    // Not one that was sent a second after the death is missing.
    ok(longest * EVERY_MS < 1_000, `${longest} datagrams in a row were lost`);
    const escapedBefore = alice.escaped;
    alice.send(bob, Uint8Array.of(1));
    await until("a datagram by the new Worker's own tables", () => bob.received().length > 0);
    equal(alice.escaped, escapedBefore);
    await alice.close();
    await bob.close();
  },
);
