import { deepEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import type { Address, Mac, NetworkId } from "../../../../lib/base/ids.ts";
import {
  decodeTableRecord,
  encodeTableRecord,
  type TableRecord,
} from "../../../../lib/dataplane/table_records.ts";

import { BOND_LINKS_MAX } from "../../../../lib/peer/bond.ts";
import { FLOW_GROUPS } from "../../../../lib/peer/bond_flows.ts";
import { BondMode } from "../../../../lib/peer/bond_policy.ts";

const slot = fc.nat(0xffff_ffff);
const bytes = fc.uint8Array({ maxLength: 3_000 }).map((array) => Uint8Array.from(array));
const exactly = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const address = fc.bigInt(0n, 2n ** 40n - 1n).map((value) => Number(value) as Address);
const route = fc.record({
  socket: slot,
  ip: fc.oneof(exactly(4), exactly(16)),
  port: fc.nat(65_535),
  mtu: fc.nat(65_535),
});
const kind = <K extends TableRecord["kind"]>(name: K) => fc.constant(name);

const records: Record<TableRecord["kind"], fc.Arbitrary<TableRecord>> = {
  "session": fc.record({
    kind: kind("session"),
    slot,
    address,
    key: exactly(32),
    aes: fc.option(
      fc.record({ k0: exactly(32), k1: exactly(32), from: fc.integer({ min: 1, max: 65_535 }) }),
      { nil: undefined },
    ),
  }),
  "no-session": fc.record({ kind: kind("no-session"), slot }),
  "route": fc.record({
    kind: kind("route"),
    session: slot,
    route,
  }),
  "no-route": fc.record({ kind: kind("no-route"), session: slot }),
  "bond": fc.record({
    kind: kind("bond"),
    session: slot,
    bond: fc.record({
      mode: fc.constantFrom(...Object.values(BondMode)),
      packetsPerLink: slot,
      routes: fc.array(route, { minLength: 1, maxLength: BOND_LINKS_MAX }),
      groups: exactly(FLOW_GROUPS),
    }),
  }),
  "no-bond": fc.record({ kind: kind("no-bond"), session: slot }),
  "network": fc.record({
    kind: kind("network"),
    slot,
    id: fc.bigInt(0n, 2n ** 64n - 1n).map((value) => value as NetworkId),
    port: slot,
    mac: fc.bigInt(0n, 2n ** 48n - 1n).map((value) => Number(value) as Mac),
    config: bytes,
  }),
  "no-network": fc.record({ kind: kind("no-network"), slot }),
  "member": fc.record({
    kind: kind("member"),
    slot,
    network: slot,
    session: slot,
    admitted: fc.boolean(),
    credentials: bytes,
  }),
  "no-member": fc.record({ kind: kind("no-member"), slot }),
  "relay": fc.record({
    kind: kind("relay"),
    flow: fc.record({
      slot,
      from: fc.record({
        socket: slot,
        ip: fc.oneof(exactly(4), exactly(16)),
        port: fc.nat(65_535),
      }),
      source: address,
      destination: address,
      route,
      budget: slot,
      bytesPerSecond: fc.maxSafeNat(),
    }),
  }),
  "no-relay": fc.record({ kind: kind("no-relay"), slot }),
};

/** Generated values have no prototype and arrays of a subclass: neither matters. */
const plain = (value: unknown): unknown =>
  value instanceof Uint8Array
    ? [...value]
    : typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]))
    : value;

for (const [name, arbitrary] of Object.entries(records)) {
  Deno.test(`decodeTableRecord() reads what encodeTableRecord() wrote: ${name}`, () => {
    fc.assert(fc.property(arbitrary, (record) => {
      deepEqual(plain(decodeTableRecord(encodeTableRecord(record))), plain(record));
    }));
  });
}

Deno.test("decodeTableRecord() takes a kind it does not know for a bug of ours", () => {
  throws(() => decodeTableRecord(Uint8Array.of(99, 0, 0, 0, 0)), /only table records/);
});
