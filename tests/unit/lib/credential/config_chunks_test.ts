import assert from "node:assert/strict";
import fc from "fast-check";
import { fromHex, toHex, Writer } from "../../../../lib/base/bytes.ts";
import { WireError } from "../../../../lib/base/errors.ts";
import { formatNetworkId, parseNetworkId } from "../../../../lib/base/ids.ts";
import {
  chunkSignedPart,
  decodeChunk,
  encodeChunk,
  type ReceivedChunk,
} from "../../../../lib/credential/config_chunk.ts";
import {
  CHUNK_PIECE_MAX,
  type ChunkResult,
  ConfigAssembler,
  signChunks,
} from "../../../../lib/credential/config_chunks.ts";
import {
  decodeNetworkConfig,
  encodeNetworkConfig,
} from "../../../../lib/credential/network_config.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { Identity } from "../../../../lib/identity/identity.ts";
import { sign, verify } from "../../../../lib/identity/sign.ts";
import { fragmentCount } from "../../../../lib/wire/fragment.ts";
import { countVectors } from "../../../vectors/count.ts";
import { type ChunkVector, vl2 } from "../../../vectors/vl2.ts";

const controller = Identity.parse(vl2.identities.controller.secret);
const networkId = parseNetworkId(vl2.networkId)!;
const stranger = { fromController: false, packetId: 5n };
const vectors = [
  ...vl2.configChunks.okSingle,
  ...vl2.configChunks.okMulti,
  ...vl2.configChunks.push,
];

function byController(message: Uint8Array, signature: Uint8Array): boolean {
  return verify(noblePrimitives, controller.publicKey, message, signature);
}

function chunkOf(v: ChunkVector): Uint8Array {
  return fromHex(v.payload).subarray(v.chunkOffsetInPayload);
}

/** Cheap signatures, all different: the order of chunks is what is tested. */
function fakeSign(message: Uint8Array): Uint8Array {
  const signature = new Uint8Array(96);
  let hash = 0;
  for (const byte of message) hash = Math.imul(hash, 31) + byte | 0;
  new DataView(signature.buffer).setInt32(0, hash);
  return signature;
}

function fakeVerify(message: Uint8Array, signature: Uint8Array): boolean {
  return toHex(fakeSign(message)) === toHex(signature);
}

function makeChunks(length: number, updateId: bigint, pieceMax?: number): ReceivedChunk[] {
  const dictionary = Uint8Array.from({ length }, (_, i) => i * 13);
  return signChunks({ networkId, updateId, dictionary }, fakeSign, pieceMax).map((chunk) => {
    const w = new Writer();
    encodeChunk(chunk, chunk.signature, w);
    return decodeChunk(w.finish());
  });
}

Deno.test("decodeChunk() reads the reference's chunks, and their signatures verify", () => {
  for (const v of vectors) {
    const chunk = decodeChunk(chunkOf(v));
    assert.equal(chunk.kind, "signed");
    if (chunk.kind !== "signed") continue;
    assert.equal(formatNetworkId(chunk.networkId), vl2.networkId);
    assert.equal(chunk.piece.length, v.chunkLen);
    assert.equal(chunk.offset, v.chunkIndex);
    assert.equal(chunk.totalLength, v.totalLength);
    assert.equal(chunk.updateId, BigInt(`0x${v.configUpdateId}`));
    assert.equal(chunk.fastPropagate, (v.flags & 1) !== 0);
    assert.deepEqual(chunkSignedPart(chunk), chunk.signedPart);
    assert.ok(byController(chunk.signedPart, chunk.signature!));
    const w = new Writer();
    encodeChunk(chunk, chunk.signature!, w);
    assert.equal(toHex(w.finish()), toHex(chunkOf(v)));
  }
  countVectors("vl2.json: configChunks", vectors.length);
});

Deno.test("ConfigAssembler joins the reference's chunks into a configuration", () => {
  const updates = [vl2.configChunks.okSingle, vl2.configChunks.okMulti, vl2.configChunks.push];
  for (const chunks of updates) {
    for (const order of [chunks, [...chunks].reverse()]) {
      const assembler = new ConfigAssembler();
      const results = order.map((v) =>
        assembler.add(decodeChunk(chunkOf(v)), byController, stranger)
      );
      const last = results.pop()!;
      assert.ok(results.every((result) => result.kind === "stored"));
      assert.ok(last.kind === "complete");
      assert.equal(last.dictionary.length, chunks[0].totalLength);
      assert.equal(last.updateId, BigInt(`0x${chunks[0].configUpdateId}`));
      const config = decodeNetworkConfig(last.dictionary);
      assert.deepEqual(encodeNetworkConfig(config), last.dictionary);
    }
  }
});

Deno.test("signChunks() signs as the reference does", () => {
  const v = vl2.configChunks.push[0];
  const original = decodeChunk(chunkOf(v));
  const [chunk, ...more] = signChunks(
    { networkId, updateId: BigInt(`0x${v.configUpdateId}`), dictionary: original.piece },
    (message) => sign(noblePrimitives, controller, message),
  );
  const w = new Writer();
  encodeChunk(chunk, chunk.signature, w);
  assert.equal(more.length, 0);
  assert.equal(toHex(w.finish()), toHex(chunkOf(v)));
});

Deno.test("signChunks() makes chunks that pass where a path carries 1280 bytes", () => {
  const chunks = makeChunks(20_000, 1n);
  assert.equal(chunks.length, 5);
  for (const chunk of chunks) {
    assert.ok(chunk.kind === "signed" && chunk.piece.length <= CHUNK_PIECE_MAX);
    assert.ok(fragmentCount(28 + 9 + chunk.bytes.length, 1_280)! <= 4);
  }
  assert.equal(makeChunks(20_000, 1n, 9_740).length, 3);
  const tooLong = { networkId, updateId: 1n, dictionary: new Uint8Array(484_520) };
  assert.throws(() => signChunks(tooLong, fakeSign), RangeError);
  assert.throws(
    () => signChunks({ ...tooLong, dictionary: new Uint8Array(0) }, fakeSign),
    RangeError,
  );
});

Deno.test("ConfigAssembler joins any number of chunks in any order, with duplicates", () => {
  const shuffled = fc.integer({ min: 1, max: 3_000 }).chain((length) => {
    const chunks = makeChunks(length, 9n, 300);
    return fc.tuple(
      fc.constant(length),
      fc.shuffledSubarray(chunks, { minLength: chunks.length }),
      fc.array(fc.constantFrom(...chunks), { maxLength: 3 }),
    );
  });
  fc.assert(
    fc.property(shuffled, ([length, chunks, duplicates]) => {
      const assembler = new ConfigAssembler();
      const sent = [...chunks.slice(0, -1), ...duplicates, chunks.at(-1)!];
      const results = sent.map((chunk) => assembler.add(chunk, fakeVerify, stranger));
      const complete = results.filter((result) => result.kind === "complete");
      assert.ok(complete.length >= 1);
      assert.equal(complete[0].dictionary.length, length);
      assert.ok(complete[0].dictionary.every((byte, i) => byte === (i * 13 & 0xff)));
    }),
    { seed: 1 },
  );
});

Deno.test("ConfigAssembler ignores what is forged, repeated or out of bounds, and says why", () => {
  const [first, second] = makeChunks(500, 1n, 300);
  assert.ok(first.kind === "signed" && second.kind === "signed");
  const assembler = new ConfigAssembler();
  const reasonOf = (result: ChunkResult) => result.kind === "ignored" ? result.reason : result.kind;
  const add = (chunk: ReceivedChunk, source = stranger) =>
    reasonOf(assembler.add(chunk, fakeVerify, source));
  assert.equal(add({ ...first, signature: undefined }), "signature");
  assert.equal(add({ ...first, signature: new Uint8Array(96) }), "signature");
  assert.equal(add({ ...first, totalLength: 484_520 }), "bounds");
  assert.equal(add({ ...first, totalLength: 299 }), "bounds");
  assert.equal(add({ ...first, offset: 0xffff_ffff }), "bounds");
  assert.equal(add({ kind: "legacy", networkId, piece: first.piece }), "unsigned");
  assert.equal(add(first), "stored");
  assert.equal(add(first), "duplicate");
  const [other] = makeChunks(900, 1n, 300);
  assert.equal(add(other), "bounds", "another total for the same update");
  assert.equal(add(second), "complete");
});

Deno.test("ConfigAssembler takes the unsigned form from the controller only", () => {
  const piece = fromHex("610a");
  const legacy: ReceivedChunk = { kind: "legacy", networkId, piece };
  const result = new ConfigAssembler().add(legacy, fakeVerify, {
    fromController: true,
    packetId: 5n,
  });
  assert.deepEqual(result, { kind: "complete", dictionary: piece, updateId: 5n });
});

Deno.test("ConfigAssembler holds three updates and gives up the one with the fewest chunks", () => {
  const assembler = new ConfigAssembler();
  const updates = [1n, 2n, 3n, 4n].map((id) => makeChunks(900, id, 300));
  const add = (update: number, chunk: number) =>
    assembler.add(updates[update][chunk], fakeVerify, stranger).kind;
  for (const [update, chunk] of [[0, 0], [0, 1], [1, 0], [2, 0], [2, 1]]) {
    assert.equal(add(update, chunk), "stored");
  }
  assert.equal(add(3, 0), "stored"); // takes the place of update 1
  assert.equal(add(0, 2), "complete");
  assert.equal(add(2, 2), "complete");
  assert.deepEqual([add(1, 1), add(1, 2)], ["stored", "stored"], "its first chunk was lost");
});

Deno.test("ConfigAssembler takes at most 474 chunks of one update", () => {
  const assembler = new ConfigAssembler();
  const chunks = makeChunks(474 * 2, 1n, 2);
  for (const chunk of chunks.slice(0, 473)) assembler.add(chunk, fakeVerify, stranger);
  const [extra] = makeChunks(474 * 2, 1n, 3);
  assert.equal(assembler.add(extra, fakeVerify, stranger).kind, "stored");
  assert.deepEqual(assembler.add(chunks[473], fakeVerify, stranger), {
    kind: "ignored",
    reason: "too many",
  });
});

Deno.test("decodeChunk() refuses every truncation but the one that is the unsigned form", () => {
  const bytes = chunkOf(vl2.configChunks.okSingle[0]);
  const pieceEnd = 10 + vl2.configChunks.okSingle[0].chunkLen;
  for (let cut = 0; cut < bytes.length; cut++) {
    const read = () => decodeChunk(bytes.subarray(0, cut));
    if (cut === pieceEnd) assert.equal(read().kind, "legacy");
    else assert.throws(read, WireError, `cut at ${cut}`);
  }
});

Deno.test("decodeChunk() knows one kind of signature", () => {
  const bytes = chunkOf(vl2.configChunks.okSingle[0]).slice();
  const at = 10 + vl2.configChunks.okSingle[0].chunkLen + 17;
  bytes[at] = 2;
  const chunk = decodeChunk(bytes);
  assert.ok(chunk.kind === "signed" && chunk.signature === undefined);
});
