import assert from "node:assert/strict";
import { concat, fromHex, Writer } from "../../../../lib/base/bytes.ts";
import { AssertionError, WireError } from "../../../../lib/base/errors.ts";
import { formatEndpoint } from "../../../../lib/base/ip.ts";
import { Reader } from "../../../../lib/base/bytes.ts";
import { decodeMulticastLike } from "../../../../lib/wire/multicast_like.ts";
import {
  decodeNetworkCredentials,
  encodeNetworkCredentials,
} from "../../../../lib/wire/network_credentials.ts";
import { readPartial } from "../../../../lib/wire/partial.ts";
import { decodePushDirectPaths, PortNote } from "../../../../lib/wire/push_direct_paths.ts";
import { decodeQosMeasurement, QOS_RECORDS_MAX } from "../../../../lib/wire/qos_measurement.ts";
import { decodeRemoteTrace } from "../../../../lib/wire/remote_trace.ts";
import { decodeOkWhois, decodeWhois } from "../../../../lib/wire/whois.ts";
import { packetVectors, payloadOf } from "../../../vectors/packets.ts";

function payload(label: string): Uint8Array {
  return payloadOf(packetVectors.packets.find((v) => v.label === label)!);
}

Deno.test("readPartial() keeps what came before a WireError, and hides no other error", () => {
  const r = new Reader(fromHex("0102"), "list");
  const read = readPartial(r, () => true, (r) => r.u8());
  assert.deepEqual(read, { items: [1, 2], complete: false });
  assert.throws(
    () =>
      readPartial(r, () => true, () => {
        throw new AssertionError("a bug");
      }),
    AssertionError,
  );
});

Deno.test("decodeMulticastLike() keeps the records before a partial one", () => {
  const likes = payload("multicast-like-compressed");
  const whole = decodeMulticastLike(likes);
  assert.ok(whole.complete);
  const cut = decodeMulticastLike(likes.subarray(0, -1));
  assert.equal(cut.complete, false);
  assert.deepEqual(cut.items, whole.items.slice(0, -1));
});

Deno.test("decodeNetworkCredentials() ends where it may, and says where it may not", () => {
  const bytes = payload("network-credentials-com-cap-tag");
  const counts = (cut: number) => {
    const read = decodeNetworkCredentials(bytes.subarray(0, cut));
    const { coms, capabilities, tags, revocations, ownerships, complete } = read;
    return [
      coms.length,
      capabilities.length,
      tags.length,
      revocations.length,
      ownerships.length,
      complete,
    ];
  };
  // Offsets of the capture: certificate 0, terminator 272, capabilities 273, tags 416, revocations 553, ownerships 555.
  assert.deepEqual(counts(0), [0, 0, 0, 0, 0, true]);
  assert.deepEqual(counts(100), [0, 0, 0, 0, 0, false]);
  assert.deepEqual(counts(272), [1, 0, 0, 0, 0, true]);
  assert.deepEqual(counts(273), [1, 0, 0, 0, 0, true]);
  assert.deepEqual(counts(274), [1, 0, 0, 0, 0, false]);
  assert.deepEqual(counts(416), [1, 1, 0, 0, 0, false]);
  assert.deepEqual(counts(417), [1, 1, 0, 0, 0, false]);
  assert.deepEqual(counts(553), [1, 1, 1, 0, 0, false]);
  assert.deepEqual(counts(555), [1, 1, 1, 0, 0, false]);
  assert.deepEqual(counts(bytes.length - 1), [1, 1, 1, 0, 0, false]);
  assert.deepEqual(counts(bytes.length), [1, 1, 1, 0, 1, true]);
});

Deno.test("decodeNetworkCredentials() keeps the first of two elements when the second is malformed", () => {
  const { tags } = decodeNetworkCredentials(payload("network-credentials-com-cap-tag"));
  const w = new Writer();
  const none = { coms: [], capabilities: [], revocations: [], ownerships: [] };
  encodeNetworkCredentials({ ...none, tags: [...tags, ...tags] }, w);
  const read = decodeNetworkCredentials(w.finish().subarray(0, 5 + 135 + 100));
  assert.equal(read.tags.length, 1);
  assert.equal(read.complete, false);
});

Deno.test("decodeNetworkCredentials() takes a byte other than 0 and 1 for a malformed certificate", () => {
  const read = decodeNetworkCredentials(fromHex("02"));
  assert.equal(read.complete, false);
});

Deno.test("decodePushDirectPaths() skips extensions and types it does not know", () => {
  const paths = fromHex(
    "0004" +
      "00" + "0002" + "abcd" + "04" + "06" + "0a000001" + "2709" + // with an extension
      "00" + "0000" + "01" + "03" + "010203" + // a type of three bytes
      "01" + "0000" + "04" + "08" + "0a000002" + "2709" + "ffff" + // longer than natural
      "02" + "0000" + "06" + "12" + "20010db8000000000000000000000001" + "2709",
  );
  const { items, complete } = decodePushDirectPaths(paths);
  assert.ok(complete);
  assert.deepEqual(items.map((p) => [formatEndpoint(p.endpoint), p.forget, p.redirect]), [
    ["10.0.0.1/9993", false, false],
    ["10.0.0.2/9993", true, false],
    ["2001:db8::1/9993", false, true],
  ]);
  const cut = decodePushDirectPaths(paths.subarray(0, -1));
  assert.equal(cut.complete, false);
  assert.equal(cut.items.length, 2);
  assert.throws(() => decodePushDirectPaths(fromHex("00")), WireError);
});

Deno.test("decodePushDirectPaths() reads the notes of zt nodes, and no others", () => {
  const noteOf = (extension: string) => {
    const length = (extension.length / 2).toString(16).padStart(4, "0");
    const record = `00${length}${extension}0406` + "0a0000012709";
    return decodePushDirectPaths(fromHex(`0001${record}`)).items[0].note;
  };
  assert.equal(noteOf("7a7403"), PortNote.DIFFERENT);
  for (const other of ["", "7a74", "7a7400", "7a7405", "7b7403", "7a740300"]) {
    assert.equal(noteOf(other), undefined, other);
  }
});

Deno.test("decodePushDirectPaths() reads an address in its natural size though it says to be shorter", () => {
  const short = fromHex("0001" + "00" + "0000" + "04" + "02" + "0a000001" + "2709");
  assert.equal(formatEndpoint(decodePushDirectPaths(short).items[0].endpoint), "10.0.0.1/9993");
});

Deno.test("decodePushDirectPaths() does a bounded amount of work for a large count", () => {
  const { items, complete } = decodePushDirectPaths(fromHex("ffff"));
  assert.deepEqual([items.length, complete], [0, false]);
});

Deno.test("decodeWhois() ignores a rest, decodeOkWhois() keeps the identities before one", () => {
  assert.equal(decodeWhois(fromHex("112233445566778899")).length, 1);
  const body = payload("ok-whois-1").subarray(9);
  const two = concat(body, body);
  assert.equal(decodeOkWhois(two).items.length, 2);
  const cut = decodeOkWhois(two.subarray(0, -1));
  assert.deepEqual([cut.items.length, cut.complete], [1, false]);
});

Deno.test("decodeRemoteTrace() takes terminated dictionaries of 1 to 10000 bytes", () => {
  const long = new Uint8Array(10_001).fill(0x61);
  const terminated = (bytes: Uint8Array) => concat(bytes, Uint8Array.of(0));
  const bytes = concat(
    terminated(fromHex("613d31")),
    terminated(new Uint8Array(0)),
    terminated(long),
    terminated(long.subarray(1)),
    fromHex("623d"),
  );
  assert.deepEqual(decodeRemoteTrace(bytes).map(({ length }) => length), [3, 10_000]);
});

Deno.test("decodeQosMeasurement() ignores what is too short, too long or left over", () => {
  assert.equal(decodeQosMeasurement(new Uint8Array(8)), undefined);
  assert.equal(decodeQosMeasurement(new Uint8Array(1_401)), undefined);
  assert.deepEqual(decodeQosMeasurement(new Uint8Array(9)), []);
  assert.equal(decodeQosMeasurement(new Uint8Array(1_400))?.length, QOS_RECORDS_MAX);
  assert.equal(decodeQosMeasurement(new Uint8Array(29))?.length, 2);
});
