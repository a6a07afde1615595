import { deepEqual, equal, ok, throws } from "node:assert/strict";
import {
  addressRecord,
  type Answer,
  decodeQuery,
  encodeAnswer,
  encodeName,
  type Query,
  RecordType,
  ResponseCode,
  udpLengthMax,
} from "../../../../../cli/engine/dns/message.ts";
import { concat, fromHex, utf8, Writer } from "../../../../../lib/base/bytes.ts";
import { WireError } from "../../../../../lib/base/errors.ts";

/** A query as a resolver sends it. */
function query(
  name: string | Uint8Array,
  { type = 1, flags = 0x0100, recordClass = 1, extra = [] as Uint8Array[] } = {},
): Uint8Array {
  const w = new Writer().u16(7).u16(flags).u16(1).u16(0).u16(0).u16(extra.length);
  const encoded = typeof name === "string" ? encodeName(name) : name;
  return concat(w.raw(encoded).u16(type).u16(recordClass).finish(), ...extra);
}

function opt(lengthMax: number, version = 0): Uint8Array {
  return new Writer().u8(0).u16(41).u16(lengthMax).u32(version << 16).u16(0).finish();
}

const NOTHING: Answer = { code: ResponseCode.NOERROR, answers: [], authorities: [] };

Deno.test("decodeQuery() reads what resolvers send", () => {
  // A of NAS.Office.zt, as dig asks: with EDNS and a cookie
  const bytes = fromHex(
    "1a2b01200001000000000001034e4153064f6666696365027a7400000100010000290" +
      "4d000000000000c000a0008a1b2c3d4e5f60718",
  );
  const { question, ...read } = decodeQuery(bytes);
  deepEqual(read, {
    id: 0x1a2b,
    recursionDesired: true,
    name: "nas.office.zt",
    type: RecordType.A,
    ednsLength: 1_232,
    problem: undefined,
  });
  deepEqual(question, bytes.slice(12, 31));
});

Deno.test("decodeQuery() finds something wrong with every question cut short", () => {
  const bytes = query("nas.office.zt", { extra: [opt(1_232)] });
  for (let length = 0; length < bytes.length; length++) {
    const cut = bytes.subarray(0, length);
    if (length < 12) throws(() => decodeQuery(cut), WireError);
    else equal(decodeQuery(cut).problem, ResponseCode.FORMERR, `${length} bytes`);
  }
});

Deno.test("decodeQuery() says what is wrong", () => {
  const problemOf = (bytes: Uint8Array) => decodeQuery(bytes).problem;
  equal(problemOf(query("a.zt", { flags: 0x2800 })), ResponseCode.NOTIMP, "an update");
  equal(problemOf(query("a.zt", { recordClass: 3 })), ResponseCode.REFUSED, "chaos");
  equal(problemOf(query("a.zt", { extra: [opt(512, 1)] })), ResponseCode.BADVERS);
  equal(problemOf(query("a.zt", { extra: [opt(512), opt(512)] })), ResponseCode.FORMERR);
  equal(problemOf(query(Uint8Array.of(0xc0, 12))), ResponseCode.FORMERR, "a name in a circle");
  equal(problemOf(query("x".repeat(64))), ResponseCode.FORMERR, "a long label");
  equal(problemOf(query(Array(128).fill("x").join("."))), ResponseCode.FORMERR, "a long name");
  equal(problemOf(query(Array(127).fill("x").join("."))), undefined, "the longest name");
  const two = query("a.zt");
  two[5] = 2;
  equal(problemOf(two), ResponseCode.FORMERR, "two questions");
  throws(() => decodeQuery(query("a.zt", { flags: 0x8000 })), WireError, "an answer");
  throws(() => decodeQuery(new Uint8Array(1_025)), WireError);
});

Deno.test("decodeQuery() takes no label for two, nor a strange letter for ours", () => {
  equal(
    decodeQuery(query(concat(Uint8Array.of(4), utf8("a.zt"), Uint8Array.of(0)))).name,
    "a\\.zt",
  );
  const kelvin = concat(Uint8Array.of(3), utf8("\u212a"), Uint8Array.of(0)); // toLowerCase() makes it "k"
  ok(decodeQuery(query(kelvin)).name !== "k");
});

function answer(bytes: Uint8Array, given: Answer, lengthMax = 512): Uint8Array {
  return encodeAnswer(decodeQuery(bytes), given, lengthMax);
}

Deno.test("encodeAnswer() repeats the question as it was asked and points to its name", () => {
  const asked = query("Nas.ZT", { extra: [opt(4_096)] });
  const answers = [addressRecord(Uint8Array.of(10, 0, 0, 1), 15)];
  const bytes = answer(asked, { ...NOTHING, answers });
  deepEqual(
    bytes,
    concat(
      fromHex("000785000001000100000001"),
      asked.subarray(12, 24),
      fromHex("c00c000100010000000f00040a000001"),
      fromHex("00002904d0000000000000"),
    ),
  );
});

Deno.test("encodeAnswer() writes the high bits of a code where EDNS has them", () => {
  const asked = query("a.zt", { extra: [opt(512, 1)] });
  const bytes = answer(asked, { ...NOTHING, code: ResponseCode.BADVERS });
  equal(bytes[3] & 0xf, 0);
  deepEqual(bytes.subarray(-11), fromHex("00002904d0010000000000"));
});

Deno.test("encodeAnswer() cuts what is too long, and says so", () => {
  const answers = Array.from({ length: 32 }, () => addressRecord(new Uint8Array(16), 15));
  const asked = query("nas.zt", { extra: [opt(65_535)] });
  const whole = answer(asked, { ...NOTHING, answers }, 65_535);
  equal(whole.length, 12 + 12 + 32 * 28 + 11);
  const cut = answer(asked, { ...NOTHING, answers }, 512);
  equal(cut.length, 12 + 12 + 11);
  deepEqual([cut[2] & 2, cut[7]], [2, 0]);
});

Deno.test("udpLengthMax() is what the asker takes, within what paths take", () => {
  const limit = (extra: Uint8Array[]): number =>
    udpLengthMax(decodeQuery(query("a.zt", { extra })) as Query);
  deepEqual([[], [opt(100)], [opt(900)], [opt(65_535)]].map(limit), [512, 512, 900, 1_232]);
});
