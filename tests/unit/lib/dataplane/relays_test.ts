import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import type { Address } from "../../../../lib/base/ids.ts";
import { ARENA_PAGES } from "../../../../lib/dataplane/arena.ts";
import { pathTag } from "../../../../lib/dataplane/path_tag.ts";
import type { Source } from "../../../../lib/dataplane/plane.ts";
import { type RelayFlow, Relays } from "../../../../lib/dataplane/relays.ts";
import { Stat } from "../../../../lib/dataplane/stats.ts";
import { noise } from "../kernel/arena.ts";
import { ALICE, Bench, BOB, CAROL, datagrams } from "./rig.ts";

const ROUTE = { socket: 3, ip: Uint8Array.of(10, 0, 0, 9), port: 9993, mtu: 1_432 };
const FROM = { socket: 3, ip: Uint8Array.of(10, 0, 0, 1), port: 9993 };

/** Bob's packets to Carol, which come from where the bench's source says. */
function flowOf(changes: Partial<RelayFlow> = {}): RelayFlow {
  return {
    slot: 0,
    from: FROM,
    source: BOB,
    destination: CAROL,
    route: ROUTE,
    budget: 0,
    bytesPerSecond: 1e9,
    ...changes,
  };
}

function sourceAt({ socket, ip, port }: RelayFlow["from"]): Source {
  const tag = pathTag(socket, ip, 0, ip.length, port);
  return { socketId: socket, ip, ipAt: 0, ipLength: ip.length, port, tag };
}

function putAddress(bytes: Uint8Array, at: number, address: Address): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint8(at, Math.floor(address / 2 ** 32));
  view.setUint32(at + 1, address % 2 ** 32);
}

/** A packet nobody here can open. */
function packet(length: number, from: Address = BOB, to: Address = CAROL, hops = 0): Uint8Array {
  const bytes = noise(length, length);
  putAddress(bytes, 8, to);
  putAddress(bytes, 13, from);
  bytes[18] = 0x08 | hops;
  return bytes;
}

function fragment(length: number, to: Address = CAROL, hops = 0): Uint8Array {
  const bytes = noise(length, length);
  putAddress(bytes, 8, to);
  bytes.set([0xff, 0x21, hops], 13);
  return bytes;
}

function hopped(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  copy[copy[13] === 0xff ? 15 : 18]++;
  return copy;
}

function rootWith(...flows: RelayFlow[]): Bench {
  const bench = new Bench(ALICE);
  Object.assign(bench.source, sourceAt(FROM));
  for (const flow of flows) bench.apply({ kind: "relay", flow });
  return bench;
}

Deno.test("a flow's packets and fragments are passed on with one hop more, nothing else changed", () => {
  const root = rootWith(flowOf());
  for (const datagram of [packet(28), packet(1_400), fragment(17), fragment(900)]) {
    root.udp(datagram);
    deepEqual(root.takeRelayed(), [
      { flow: 0, segment: datagram.length, bytes: hopped(datagram) },
    ]);
  }
  equal(root.takeEscaped().length, 0);
  deepEqual([root.stat(Stat.RELAYED), root.plane.relays.packets(0)], [4, 4]);
  equal(root.plane.relays.bytes(0), 28 + 1_400 + 17 + 900);
});

Deno.test("datagrams that came in one piece leave in one piece", () => {
  const root = rootWith(flowOf(), flowOf({ slot: 1, source: BOB, destination: 0x77 as Address }));
  const ofFlow = Array.from({ length: 30 }, () => packet(1_000));
  const other = packet(1_000, BOB, 0x77 as Address);
  const many = [...ofFlow, other, ...ofFlow.slice(0, 9), packet(500)];
  const whole = new Uint8Array(40_500);
  many.forEach((one, i) => whole.set(one, i * 1_000));
  root.udp(whole, 1_000);
  const relayed = root.takeRelayed();
  deepEqual(relayed.map(({ flow, segment, bytes }) => [flow, segment, bytes.length]), [
    [0, 1_000, 30_000],
    [1, 1_000, 1_000],
    [0, 1_000, 9_500],
  ]);
  const pieces = relayed.flatMap(({ bytes, segment }) =>
    datagrams([{ session: 0, bytes, segment }])
  );
  deepEqual(pieces, many.map(hopped));
});

Deno.test("no piece holds more datagrams than the system cuts", () => {
  const root = rootWith(flowOf());
  const whole = new Uint8Array(100 * 200);
  for (let i = 0; i < 100; i++) whole.set(packet(200), i * 200);
  root.udp(whole, 200);
  deepEqual(root.takeRelayed().map(({ bytes }) => bytes.length / 200), [64, 36]);
});

Deno.test("control decides about whatever a flow does not cover", () => {
  const others: [string, Uint8Array, Partial<RelayFlow["from"]>][] = [
    ["another sender", packet(100, 0x55 as Address), {}],
    ["another receiver", packet(100, BOB, 0x66 as Address), {}],
    ["another receiver of a fragment", fragment(100, 0x66 as Address), {}],
    ["another address", packet(100), { ip: Uint8Array.of(10, 0, 0, 2) }],
    ["another port", packet(100), { port: 9994 }],
    ["another socket", packet(100), { socket: 4 }],
    ["too many hops", packet(100, BOB, CAROL, 3), {}],
    ["too many hops of a fragment", fragment(100, CAROL, 3), {}],
    ["bits where a fragment's hops are", fragment(100, CAROL, 0x80), {}],
  ];
  for (const [what, datagram, from] of others) {
    const root = rootWith(flowOf());
    Object.assign(root.source, sourceAt({ ...FROM, ...from }));
    root.udp(datagram);
    equal(root.takeRelayed().length, 0, what);
    deepEqual(root.takeEscaped().map(({ bytes }) => bytes), [datagram], what);
  }
});

Deno.test("flows with one tag but different endpoints are not taken for each other", () => {
  const root = rootWith(flowOf());
  Object.assign(root.source, { port: 1, tag: sourceAt(FROM).tag });
  root.udp(packet(100));
  deepEqual(root.takeEscaped().map(({ how }) => how), ["sealed"]);
});

Deno.test("a source's flows share its budget: what is over it is dropped, and comes again with time", () => {
  const flows = [
    flowOf({ bytesPerSecond: 1_000 }),
    flowOf({ slot: 1, destination: 0x77 as Address, bytesPerSecond: 1_000 }),
    flowOf({ slot: 2, destination: 0x78 as Address, bytesPerSecond: 1_000, budget: 1 }),
  ];
  const root = rootWith(...flows);
  const send = (to: Address, tick: number) =>
    root.udp(packet(400, BOB, to), 400, root.source, tick);
  for (let i = 0; i < 2; i++) send(CAROL, 10_000);
  send(0x77 as Address, 10_000); // 200 bytes are left
  equal(root.takeRelayed().length, 2);
  equal(root.stat(Stat.DROPPED_RATE), 1);
  send(0x78 as Address, 10_000);
  equal(root.takeRelayed().length, 1, "another budget");
  send(0x77 as Address, 10_200);
  equal(root.takeRelayed().length, 1, "200 ms later");
  send(CAROL, 10_300);
  send(CAROL, 1); // the clock wrapped
  equal(root.takeRelayed().length, 0);
  equal(root.takeEscaped().length, 0, "nothing over a budget is control's");
});

Deno.test("a flow that is taken back is control's again; one set again begins to count anew", () => {
  const root = rootWith(flowOf());
  root.udp(packet(100));
  root.apply({ kind: "relay", flow: flowOf({ route: { ...ROUTE, port: 5 } }) });
  equal(root.plane.relays.packets(0), 0);
  equal(root.plane.relays.route(0)!.port, 5);
  root.apply({ kind: "no-relay", slot: 0 });
  equal(root.plane.relays.route(0), undefined);
  root.takeRelayed();
  root.udp(packet(100));
  deepEqual(root.takeEscaped().map(({ how }) => how), ["sealed"]);
});

Deno.test("Relays finds exactly the flows that are there, whatever came and went", () => {
  const memory = new WebAssembly.Memory({ initial: ARENA_PAGES, maximum: ARENA_PAGES }).buffer;
  const bytes = new Uint8Array(memory);
  const at = 4_096;
  const steps = fc.array(
    fc.record({ slot: fc.nat(9), port: fc.option(fc.nat(3)), to: fc.nat(3) }),
    { maxLength: 60 },
  );
  const flowAt = (slot: number, port: number, to: number) =>
    flowOf({ slot, from: { ...FROM, port }, destination: 0x10_0000_0000 + to as Address });
  fc.assert(fc.property(steps, (list) => {
    const relays = new Relays(memory);
    const model = new Map<number, string>();
    for (const { slot, port, to } of list) {
      const taken = [...model].some(([other, key]) => key === `${port} ${to}` && other !== slot);
      if (port === null || taken) {
        relays.remove(slot);
        model.delete(slot);
      } else {
        relays.set(flowAt(slot, port, to));
        model.set(slot, `${port} ${to}`);
      }
      equal(relays.count, model.size);
      for (let p = 0; p < 4; p++) {
        for (let d = 0; d < 4; d++) {
          const flow = flowAt(0, p, d);
          bytes.set(packet(100, BOB, flow.destination), at);
          const expected = [...model].find(([, key]) => key === `${p} ${d}`)?.[0] ?? -1;
          equal(relays.admit(at, sourceAt(flow.from)), expected);
        }
      }
    }
  }));
});
