import assert from "node:assert/strict";
import { fromHex, toHex } from "../../../../lib/base/bytes.ts";
import { formatAddress } from "../../../../lib/base/ids.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { Identity, ownsSecret } from "../../../../lib/identity/identity.ts";
import {
  type Found,
  generateIdentity,
  IdentitySearch,
  locallyValidate,
} from "../../../../lib/identity/work.ts";
import { WorkKernel } from "../../../../lib/kernel/mod.ts";
import { workTwin } from "../../../../lib/kernel/twin.ts";
import { countVectors } from "../../../vectors/count.ts";
import type { IdentityVectors } from "../../../vectors/identity.ts";
import { loadVectors } from "../../../vectors/load.ts";

const vectors = loadVectors<IdentityVectors>("identity.json");
const kernel = new WorkKernel(noblePrimitives.sha512);
const work = (publicKey: Uint8Array) => kernel.work(publicKey);

/** Random bytes that are the same in every run. */
function seeded(seed: number) {
  let counter = seed;
  return (bytes: Uint8Array) => {
    const digest = noblePrimitives.sha512(new TextEncoder().encode(`seed ${counter++}`));
    for (let i = 0; i < bytes.length; i++) bytes[i] = digest[i % digest.length];
  };
}

Deno.test("workTwin() passes through every recorded intermediate value", () => {
  const trace = vectors.derivation_trace;
  const { sha512 } = noblePrimitives;
  assert.equal(trace.identity, vectors.identities[0].secret.slice(0, trace.identity.length));
  const seedDigest = toHex(sha512(fromHex(trace.public_key)));
  assert.equal(seedDigest, trace.sha512_of_public_key);
  assert.equal(seedDigest.slice(0, 64), trace.salsa20_20_key);
  assert.equal(seedDigest.slice(64, 80), trace.salsa20_20_iv);
  const steps = new Map(trace.steps.map((step) => [step.iteration, step]));
  let iterations = 0;
  let checked = 0;
  let memory: Uint8Array;
  const words = new Map<number, string>();
  const digest = workTwin(sha512, fromHex(trace.public_key), {
    filled(filled) {
      memory = filled;
      const block = (n: number) => toHex(filled.subarray(64 * n, 64 * n + 64));
      assert.equal(block(0), trace.genmem_block_0);
      assert.equal(block(1), trace.genmem_block_1);
      assert.equal(block(2), trace.genmem_block_2);
      assert.equal(block(32_767), trace.genmem_block_32767);
      assert.equal(toHex(sha512(filled)), trace.genmem_sha512_after_fill);
      words.set(0, toHex(filled.subarray(0, 16)));
    },
    swapped({ iteration, a, b, digest }) {
      const step = steps.get(iteration);
      if (!step) return;
      assert.equal(a, step.idx1);
      assert.equal(b, step.idx2);
      assert.equal(toHex(digest), step.digest_after_swap);
      const read = words.get(iteration);
      if (read) assert.equal(read, step.word1 + step.word2);
    },
    encrypted(iteration, digest) {
      iterations++;
      const step = steps.get(iteration);
      if (step) {
        assert.equal(toHex(digest), step.digest_after_encrypt);
        checked++;
      }
      // What the next step will read, if it is a recorded one.
      const next = steps.get(iteration + 1);
      const at = 16 * (iteration + 1);
      if (next) words.set(iteration + 1, toHex(memory.subarray(at, at + 16)));
    },
    done(final) {
      assert.equal(toHex(sha512(final)), trace.genmem_sha512_final);
    },
  });
  assert.equal(iterations, trace.iterations);
  assert.equal(checked, trace.steps.length);
  assert.equal(words.size, trace.steps.length);
  assert.equal(toHex(digest), trace.final_digest);
  assert.equal(toHex(digest.subarray(59)), trace.address);
  countVectors("identity.json: derivation_trace", trace.steps.length + 9);
});

Deno.test("WorkKernel.work() gives the recorded digests of arbitrary keys", () => {
  for (const v of vectors.work_function) {
    const digest = work(fromHex(v.input));
    assert.equal(toHex(digest), v.digest);
    assert.equal(digest[0] < 17, v.meets_threshold);
    assert.equal(toHex(digest.subarray(59)), v.address);
  }
  countVectors("identity.json: work_function", vectors.work_function.length);
});

Deno.test("locallyValidate() does no work for a reserved address", () => {
  const { publicKey } = Identity.parse(vectors.identities[0].public);
  for (const address of ["0000000000", "ff12345678"]) {
    const reserved = new Identity({ address: parseInt(address, 16) as never, publicKey });
    assert.equal(locallyValidate(reserved, () => assert.fail("worked")), false);
  }
});

Deno.test("generateIdentity() gives a valid identity that owns its secret, and reports each miss", () => {
  const misses: Found[] = [];
  const identity = generateIdentity({
    primitives: noblePrimitives,
    random: seeded(1),
    work,
    onTry: (found) => misses.push(found),
  });
  assert.equal(locallyValidate(identity, work), true);
  assert.equal(ownsSecret(noblePrimitives, identity), true);
  assert.deepEqual(misses.map(({ tries }) => tries), misses.map((_, i) => i + 1));
});

Deno.test("generateIdentity() goes on until the address starts with the prefix", () => {
  let calls = 0;
  // Stands in for the work: good digests whose addresses count up.
  const counting = () => {
    const digest = new Uint8Array(64);
    digest[59] = calls++;
    digest[63] = 1;
    return digest;
  };
  const passed: string[] = [];
  const identity = generateIdentity({
    primitives: noblePrimitives,
    random: seeded(2),
    work: counting,
    prefix: "03",
    onTry: (found) => passed.push(formatAddress(found.passed!)),
  });
  assert.equal(formatAddress(identity.address), "0300000001");
  assert.deepEqual(passed, ["0000000001", "0100000001", "0200000001"]);
  assert.equal(ownsSecret(noblePrimitives, identity), true);
});

Deno.test("IdentitySearch passes over reserved addresses and bad digests", () => {
  const digests = [[16, 0xff], [17, 0x12], [16, 0x12]].map(([first, address]) => {
    const digest = new Uint8Array(64);
    digest[0] = first;
    digest[59] = address;
    return digest;
  });
  const search = new IdentitySearch({
    primitives: noblePrimitives,
    random: seeded(3),
    work: () => digests.shift()!,
  });
  assert.deepEqual(search.step(), { tries: 1 });
  assert.deepEqual(search.step(), { tries: 2 });
  assert.equal(formatAddress(search.step().identity!.address), "1200000000");
});

Deno.test("IdentitySearch refuses a prefix no address can have", () => {
  for (const prefix of ["ff", "g", "0000000000", "12345678901", "0x1"]) {
    const options = { primitives: noblePrimitives, random: seeded(4), work, prefix };
    assert.throws(() => new IdentitySearch(options), RangeError, prefix);
  }
});
