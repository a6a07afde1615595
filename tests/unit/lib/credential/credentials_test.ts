import assert from "node:assert/strict";
import fc from "fast-check";
import { fromHex, Reader, toHex, Writer } from "../../../../lib/base/bytes.ts";
import { WireError } from "../../../../lib/base/errors.ts";
import {
  formatAddress,
  formatMac,
  formatNetworkId,
  type Mac,
  parseMac,
  parseNetworkId,
} from "../../../../lib/base/ids.ts";
import { formatIp, parseIp } from "../../../../lib/base/ip.ts";
import {
  capabilityIssuedTo,
  capabilitySignedMessage,
  decodeCapability,
  encodeCapability,
  signCapability,
  verifyCapability,
} from "../../../../lib/credential/capability.ts";
import {
  comAgrees,
  comIssuedTo,
  comNetworkId,
  comSignedMessage,
  comTimestampMs,
  decodeCom,
  encodeCom,
  issueCom,
  verifyCom,
} from "../../../../lib/credential/certificate_of_membership.ts";
import {
  decodeOwnership,
  encodeOwnership,
  ipThing,
  macThing,
  ownershipSignedMessage,
  ownsIp,
  ownsMac,
  signOwnership,
  type Thing,
  verifyOwnership,
} from "../../../../lib/credential/certificate_of_ownership.ts";
import {
  decodeRevocation,
  encodeRevocation,
  isFastPropagating,
  revocationFlags,
  revocationSignedMessage,
  signRevocation,
  verifyRevocation,
} from "../../../../lib/credential/revocation.ts";
import type { PublicKeyOf, Verification } from "../../../../lib/credential/signature.ts";
import {
  decodeTag,
  encodeTag,
  signTag,
  tagSignedMessage,
  verifyTag,
} from "../../../../lib/credential/tag.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { Identity, publicKeyHash } from "../../../../lib/identity/identity.ts";
import { countVectors } from "../../../vectors/count.ts";
import { type CredentialVector, vl2 } from "../../../vectors/vl2.ts";

const primitives = noblePrimitives;
const identities = Object.fromEntries(
  Object.entries(vl2.identities).map(([name, v]) => [name, Identity.parse(v.secret)]),
);
const { controller, a, b } = identities;
const networkId = parseNetworkId(vl2.networkId)!;
const timestampMs = parseInt(vl2.timestamp, 16);
const all: PublicKeyOf = (address) =>
  Object.values(identities).find((identity) => identity.address === address)?.publicKey;

Deno.test("publicKeyHash() is the recorded one", () => {
  for (const [name, { publicKeyHashSha384 }] of Object.entries(vl2.identities)) {
    assert.equal(toHex(publicKeyHash(primitives, identities[name])), publicKeyHashSha384, name);
  }
  countVectors("vl2.json: identities", Object.keys(vl2.identities).length);
});
const nobody: PublicKeyOf = () => undefined;

/** What every credential of a vector can be asked. */
interface Read {
  verify(publicKeyOf: PublicKeyOf): Verification;
  message: Uint8Array;
  encode(w: Writer): void;
  /** Compared with the vector's fields, key by key. */
  fields: Record<string, unknown>;
}

const hex64 = (value: bigint | number) => value.toString(16).padStart(16, "0");

function formatThing({ type, value }: Thing): { type: number; value: string } {
  if (type === 2) return { type, value: formatIp(value.subarray(0, 4)) };
  if (type === 3) return { type, value: formatIp(value) };
  return { type, value: formatMac(new Reader(value, "thing").mac()) };
}

function read(type: CredentialVector["type"], r: Reader): Read {
  switch (type) {
    case "com": {
      const com = decodeCom(r);
      return {
        verify: (publicKeyOf) => verifyCom(primitives, com, publicKeyOf),
        message: comSignedMessage(com),
        encode: (w) => encodeCom(com, w),
        fields: {
          issuedTo: formatAddress(comIssuedTo(com)),
          maxDelta: hex64(com.qualifiers[0].maxDelta),
          nwid: formatNetworkId(comNetworkId(com)),
          signedBy: formatAddress(com.signedBy),
          timestamp: hex64(comTimestampMs(com)),
        },
      };
    }
    case "tag": {
      const tag = decodeTag(r);
      return {
        verify: (publicKeyOf) => verifyTag(primitives, tag, publicKeyOf),
        message: tagSignedMessage(tag),
        encode: (w) => encodeTag(tag, w),
        fields: {
          nwid: formatNetworkId(tag.networkId),
          timestamp: hex64(tag.timestampMs),
          id: tag.id,
          value: tag.value,
          issuedTo: formatAddress(tag.issuedTo),
          signedBy: formatAddress(tag.signedBy),
        },
      };
    }
    case "capability": {
      const capability = decodeCapability(r);
      return {
        verify: (publicKeyOf) => verifyCapability(primitives, capability, publicKeyOf),
        message: capabilitySignedMessage(capability),
        encode: (w) => encodeCapability(capability, w),
        fields: {
          nwid: formatNetworkId(capability.networkId),
          timestamp: hex64(capability.timestampMs),
          id: capability.id,
          maxCustodyChainLength: capability.custodyLinksMax,
          custody: capability.custody.map(({ from, to }) => ({
            from: formatAddress(from),
            to: formatAddress(to),
          })),
        },
      };
    }
    case "coo": {
      const ownership = decodeOwnership(r);
      return {
        verify: (publicKeyOf) => verifyOwnership(primitives, ownership, publicKeyOf),
        message: ownershipSignedMessage(ownership),
        encode: (w) => encodeOwnership(ownership, w),
        fields: {
          nwid: formatNetworkId(ownership.networkId),
          timestamp: hex64(ownership.timestampMs),
          flags: Number(ownership.flags),
          id: ownership.id,
          issuedTo: formatAddress(ownership.issuedTo),
          signedBy: formatAddress(ownership.signedBy),
          things: ownership.things.map(formatThing),
        },
      };
    }
    case "revocation": {
      const revocation = decodeRevocation(r);
      return {
        verify: (publicKeyOf) => verifyRevocation(primitives, revocation, publicKeyOf),
        message: revocationSignedMessage(revocation),
        encode: (w) => encodeRevocation(revocation, w),
        fields: {
          nwid: formatNetworkId(revocation.networkId),
          id: revocation.id,
          credentialId: revocation.credentialId,
          credentialType: revocation.type,
          flags: Number(revocation.flags),
          signedBy: formatAddress(revocation.signedBy),
          target: formatAddress(revocation.target),
          threshold: hex64(revocation.thresholdMs),
        },
      };
    }
  }
}

Deno.test("every credential of the reference decodes, verifies or fails as it does there", () => {
  for (const v of vl2.credentials) {
    const where = `${v.type} ${v.name}`;
    const r = new Reader(fromHex(v.hex), where);
    if (v.verify === "decodeError") {
      assert.throws(() => read(v.type, r), WireError, where);
      continue;
    }
    const credential = read(v.type, r);
    assert.equal(credential.verify(all), v.verify, where);
    assert.equal(r.remaining, 0, where);
    if (v.fields.consumed !== undefined) assert.equal(r.at, v.fields.consumed, where);
    const message = v.signedMessageHex ?? v.fields.signedMessageHex;
    if (message) assert.equal(toHex(credential.message), message, where);
    if (v.verify === "ok") {
      const { consumed: _, signedMessageHex: __, ...fields } = v.fields;
      for (const [name, expected] of Object.entries(fields)) {
        if (name === "ruleText") continue; // the same rules as text, for `lib/network/`
        assert.deepEqual(credential.fields[name], expected, `${where}: ${name}`);
      }
    }
  }
  countVectors("vl2.json: credentials", vl2.credentials.length);
});

Deno.test("valid credentials encode to the bytes they were decoded from", () => {
  const notKept = ["extra-field-bytes-skipped", "reserved-bytes-nonzero-ignored"];
  let count = 0;
  for (const v of vl2.credentials) {
    if (v.verify !== "ok" || notKept.includes(v.name)) continue;
    const w = new Writer();
    read(v.type, new Reader(fromHex(v.hex), v.name)).encode(w);
    assert.equal(toHex(w.finish()), v.hex, `${v.type} ${v.name}`);
    count++;
  }
  countVectors("vl2.json: credentials encoded", count);
});

Deno.test("a valid credential is deferred while its signer is not known", () => {
  for (const v of vl2.credentials) {
    if (v.verify !== "ok") continue;
    const credential = read(v.type, new Reader(fromHex(v.hex), v.name));
    assert.equal(credential.verify(nobody), "deferred", `${v.type} ${v.name}`);
  }
});

Deno.test("every truncation of a valid credential is a WireError", () => {
  for (const v of vl2.credentials) {
    if (v.verify !== "ok") continue;
    const bytes = fromHex(v.hex);
    for (let cut = 0; cut < bytes.length; cut++) {
      const r = new Reader(bytes.subarray(0, cut), v.name);
      assert.throws(() => read(v.type, r), WireError, `${v.type} ${v.name} cut at ${cut}`);
    }
  }
});

Deno.test("decoders of credentials never throw anything but WireError", () => {
  const type = fc.constantFrom<CredentialVector["type"]>(
    "com",
    "tag",
    "capability",
    "coo",
    "revocation",
  );
  fc.assert(
    fc.property(type, fc.uint8Array({ maxLength: 300 }), (type, noise) => {
      try {
        read(type, new Reader(noise, "noise"));
      } catch (error) {
        if (type === "com" && error instanceof TypeError) return; // no qualifier for the test to look at
        assert.ok(error instanceof WireError);
      }
    }),
    { numRuns: 2_000, seed: 1 },
  );
});

Deno.test("comAgrees() decides as the reference does", () => {
  for (const v of vl2.comAgreement) {
    const [mine, theirs] = [v.mine, v.theirs].map((hex) =>
      decodeCom(new Reader(fromHex(hex), v.name))
    );
    const identity = Identity.parse(v.theirIdentity);
    assert.equal(comAgrees(primitives, mine, theirs, identity), v.agrees, v.name);
  }
  countVectors("vl2.json: comAgreement", vl2.comAgreement.length);
});

Deno.test("ownsIp() and ownsMac() find what a certificate names", () => {
  const valid = vl2.credentials.find((v) => v.type === "coo" && v.name === "valid")!;
  const ownership = decodeOwnership(new Reader(fromHex(valid.hex), "ownership"));
  for (const { value, owns } of vl2.cooOwns) {
    const mac = parseMac(value);
    const found = mac === undefined ? ownsIp(ownership, parseIp(value)!) : ownsMac(ownership, mac);
    assert.equal(found, owns, value);
  }
  countVectors("vl2.json: cooOwns", vl2.cooOwns.length);
});

Deno.test("issueCom() issues the bytes the reference issues", () => {
  const v = vl2.credentials.find((v) => v.name === "valid-7-qualifiers")!;
  const maxDeltaMs = parseInt(vl2.maxDelta, 16);
  const com = issueCom(primitives, controller, { networkId, timestampMs, maxDeltaMs, member: a });
  const w = new Writer();
  encodeCom(com, w);
  assert.equal(toHex(w.finish()), v.hex);
  assert.equal(verifyCom(primitives, com, all), "ok");
});

Deno.test("sign functions give the bytes the reference gives", () => {
  const valid = (type: string, name: string) =>
    vl2.credentials.find((v) => v.type === type && v.name === name)!;
  const w = new Writer();
  const tag = { networkId, timestampMs, id: 1_000, value: 300, issuedTo: a.address };
  encodeTag(signTag(primitives, controller, tag), w);
  assert.equal(toHex(w.finish()), valid("tag", "valid").hex);

  const coo = new Writer();
  const ownership = signOwnership(primitives, controller, {
    networkId,
    timestampMs,
    flags: 0n,
    id: 1,
    things: [
      ipThing(parseIp("10.147.20.5")!),
      ipThing(parseIp("fd00::5")!),
      macThing(parseMac("02:aa:bb:cc:dd:ee")!),
    ],
    issuedTo: a.address,
  });
  encodeOwnership(ownership, coo);
  assert.equal(toHex(coo.finish()), valid("coo", "valid").hex);

  const revoked = new Writer();
  const revocation = signRevocation(primitives, controller, {
    id: 0x01020304,
    networkId,
    type: 1,
    credentialId: 0,
    thresholdMs: timestampMs + 5,
    flags: revocationFlags(true),
    target: a.address,
  });
  assert.ok(isFastPropagating(revocation));
  encodeRevocation(revocation, revoked);
  assert.equal(toHex(revoked.finish()), valid("revocation", "valid-com-fast-propagate").hex);

  const chain = new Writer();
  const fields = {
    networkId,
    timestampMs,
    id: 1_001,
    rules: fromHex("2401062804001600160100"), // accept ipprotocol tcp dport 22;
    custodyLinksMax: 2,
  };
  const first = signCapability(primitives, controller, fields, a.address);
  const second = signCapability(primitives, a, first, b.address);
  encodeCapability(second, chain);
  assert.equal(toHex(chain.finish()), valid("capability", "valid-custody-chain-2").hex);
  assert.equal(capabilityIssuedTo(second), b.address);
  assert.throws(() => signCapability(primitives, b, second, a.address), RangeError);
});

Deno.test("a capability's rules are signed and kept in their shortest form", () => {
  const fields = { networkId, timestampMs, id: 1, custodyLinksMax: 1 };
  const long = fromHex("25030800ff" + "0100"); // the value of an EtherType with a byte too many
  const capability = signCapability(
    primitives,
    controller,
    { ...fields, rules: long },
    a.address,
  );
  assert.equal(toHex(capability.rules), "250208000100");
  assert.equal(verifyCapability(primitives, capability, all), "ok");
});

Deno.test("tags survive encoding and decoding whatever their fields", () => {
  const tag = fc.record({
    networkId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    timestampMs: fc.maxSafeNat(),
    id: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    value: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    issuedTo: fc.integer({ min: 0, max: 2 ** 40 - 1 }),
    signedBy: fc.integer({ min: 0, max: 2 ** 40 - 1 }),
    signature: fc.uint8Array({ minLength: 96, maxLength: 96 }),
  }, { noNullPrototype: true });
  fc.assert(
    fc.property(tag, (fields) => {
      const value = fields as unknown as Parameters<typeof encodeTag>[0];
      const w = new Writer();
      encodeTag(value, w);
      assert.deepEqual(decodeTag(new Reader(w.finish(), "tag")), fields);
    }),
    { seed: 1 },
  );
});

Deno.test("macThing() and ipThing() pad to sixteen bytes", () => {
  assert.equal(toHex(macThing(0x02aabbccddee as Mac).value), "02aabbccddee" + "00".repeat(10));
  assert.equal(toHex(ipThing(parseIp("10.0.0.1")!).value), "0a000001" + "00".repeat(12));
});
