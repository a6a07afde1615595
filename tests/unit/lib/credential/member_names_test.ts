import assert from "node:assert/strict";
import { WireError } from "../../../../lib/base/errors.ts";
import type { Address } from "../../../../lib/base/ids.ts";
import { parseIp } from "../../../../lib/base/ip.ts";
import { Dictionary, DictionaryWriter } from "../../../../lib/credential/dictionary.ts";
import {
  decodeNames,
  encodeNames,
  type MemberName,
  NAMES_MAX,
  putNames,
  takeNames,
} from "../../../../lib/credential/member_names.ts";

const MEMBERS: MemberName[] = [
  { address: 0x19810bb6a3 as Address, label: "laptop", ips: ["10.0.0.1", "fd00::1"].map(ip) },
  { address: 0xcab3262c6a as Address, label: "cab3262c6a", ips: [] },
];

function ip(text: string): Uint8Array {
  return parseIp(text)!;
}

Deno.test("decodeNames() reads what encodeNames() writes", () => {
  for (const onDemand of [true, false]) {
    assert.deepEqual(decodeNames(encodeNames(MEMBERS, onDemand)), { members: MEMBERS, onDemand });
  }
});

Deno.test("decodeNames() rejects what ends inside a member", () => {
  const bytes = encodeNames(MEMBERS, false);
  const ends = [1, bytes.length - 17, bytes.length]; // a list may end after any member
  for (let length = 0; length < bytes.length; length++) {
    if (ends.includes(length)) continue;
    assert.throws(() => decodeNames(bytes.subarray(0, length)), WireError, `${length} bytes`);
  }
});

Deno.test("decodeNames() rejects labels that are none, odd addresses and endless lists", () => {
  const address = 1 as Address;
  for (const label of ["", "Laptop", "a.b", "a b", "x".repeat(64)]) {
    assert.throws(() => decodeNames(encodeNames([{ address, label, ips: [] }], false)), WireError);
  }
  const odd = encodeNames([{ address, label: "a", ips: [new Uint8Array(5)] }], false);
  assert.throws(() => decodeNames(odd), WireError);
  const many = Array.from({ length: NAMES_MAX + 1 }, () => ({ address, label: "a", ips: [] }));
  assert.throws(() => decodeNames(encodeNames(many, false)), WireError);
  const ips = Array.from({ length: 33 }, () => ip("10.0.0.1"));
  assert.throws(() => decodeNames(encodeNames([{ address, label: "a", ips }], false)), WireError);
});

function dictionaryOf(put: (d: DictionaryWriter) => void): Dictionary {
  const d = new DictionaryWriter();
  put(d);
  return Dictionary.decode(d.finish());
}

Deno.test("takeNames() reads what putNames() writes, with the list or without", () => {
  const names = { hash: 0xfeedn, onDemand: true, members: MEMBERS };
  assert.deepEqual(takeNames(dictionaryOf((d) => putNames(names, d))), names);
  const held = { hash: 0xfeedn, onDemand: false, members: undefined };
  assert.deepEqual(takeNames(dictionaryOf((d) => putNames(held, d))), held);
  assert.equal(takeNames(dictionaryOf((d) => putNames(undefined, d))), undefined);
});

Deno.test("takeNames() takes a malformed list for none: the network must work without", () => {
  const broken = dictionaryOf((d) => d.uint("znh", 1).bytes("zn", Uint8Array.of(0, 1)));
  assert.equal(takeNames(broken), undefined);
});
