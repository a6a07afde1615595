/**
 * Structures several verbs share, field by field: endpoints, identities, worlds, credentials. Layouts are those of the
 * files that decode them; here nothing is judged, so that a malformed packet can be looked at too.
 *
 * Source: spec 02 section 6, spec 04 section 9.
 * @module
 */
import { WireError } from "../base/errors.ts";
import type { FieldReader } from "./field_reader.ts";

const MOON = 127;

/** Reads `count` numbered elements. */
export function describeList(
  f: FieldReader,
  name: string,
  count: number,
  read: (f: FieldReader) => void,
): void {
  for (let i = 0; i < count; i++) f.group(`${name}[${i}]`, () => read(f));
}

/** A physical address. */
export function describeEndpoint(f: FieldReader, name: string): void {
  f.group(name, () => {
    const type = f.u8("type");
    switch (type) {
      case 0:
        return;
      case 1:
      case 2:
        f.bytes("reserved", 6);
        return;
      case 3:
        f.bytes("reserved", f.u16("length"));
        return;
      case 4:
      case 6:
        f.ip("ip", type === 4 ? 4 : 16);
        f.u16("port");
        return;
      default:
        throw new WireError("packet", `physical address of unknown type ${type}`);
    }
  });
}

export function describeIdentity(f: FieldReader): void {
  f.address("address");
  f.u8("type");
  f.bytes("publicKey", 64);
  const length = f.u8("privateKeyLength");
  if (length > 0) f.bytes("privateKey", length);
}

export function describeWorld(f: FieldReader): void {
  const type = f.u8("type");
  f.id("id");
  f.u64("timestamp");
  f.bytes("updatesMustBeSignedBy", 64);
  f.bytes("signature", 96);
  describeList(f, "roots", f.u8("rootCount"), () => {
    f.group("identity", () => describeIdentity(f));
    const endpoints = f.u8("endpointCount");
    for (let i = 0; i < endpoints; i++) describeEndpoint(f, `endpoint[${i}]`);
  });
  if (type === MOON) {
    const length = f.u16("attachedDictionaryLength");
    if (length > 0) f.bytes("attachedDictionary", length);
  }
}

/** A certificate of membership. */
export function describeCom(f: FieldReader): void {
  f.u8("version");
  describeList(f, "q", f.u16("qualifierCount"), () => {
    f.u64("id");
    f.id("value");
    f.id("maxDelta");
  });
  if (f.address("signedBy") !== 0) f.bytes("signature", 96);
}

function describeSignature(f: FieldReader): void {
  f.u8("sigType");
  f.bytes("signature", f.u16("sigLength"));
}

function describeAdditional(f: FieldReader): void {
  const length = f.u16("additionalLength");
  if (length > 0) f.bytes("additional", length);
}

export function describeCapability(f: FieldReader): void {
  f.id("networkId");
  f.u64("timestamp");
  f.u32("id");
  describeList(f, "rule", f.u16("ruleCount"), () => {
    f.u8("type");
    f.bytes("data", f.u8("length"));
  });
  f.u8("maxCustodyChainLength");
  f.group("custody", () => {
    while (f.address("to") !== 0) {
      f.address("from");
      describeSignature(f);
    }
  });
  describeAdditional(f);
}

export function describeTag(f: FieldReader): void {
  f.id("networkId");
  f.u64("timestamp");
  f.u32("id");
  f.u32("value");
  f.address("issuedTo");
  f.address("signedBy");
  describeSignature(f);
  describeAdditional(f);
}

export function describeRevocation(f: FieldReader): void {
  f.bytes("reserved0", 4);
  f.u32("id");
  f.id("networkId");
  f.bytes("reserved1", 4);
  f.u32("credentialId");
  f.u64("threshold");
  f.id("flags");
  f.address("target");
  f.address("signedBy");
  f.u8("type");
  describeSignature(f);
  describeAdditional(f);
}

/** A certificate of ownership. */
export function describeOwnership(f: FieldReader): void {
  f.id("networkId");
  f.u64("timestamp");
  f.id("flags");
  f.u32("id");
  describeList(f, "thing", f.u16("thingCount"), () => {
    f.u8("type");
    f.bytes("value", 16);
  });
  f.address("issuedTo");
  f.address("signedBy");
  describeSignature(f);
  describeAdditional(f);
}

/** A piece of a network configuration. */
export function describeChunk(f: FieldReader): void {
  f.id("networkId");
  f.bytes("chunkData", f.u16("chunkLength"));
  if (f.remaining === 0) return; // the unsigned form
  f.u8("flags");
  f.id("configUpdateId");
  f.u32("totalLength");
  f.u32("chunkIndex");
  describeSignature(f);
}

/** Members of a multicast group. */
export function describeGatherResult(f: FieldReader): void {
  f.u32("totalKnown");
  const count = f.u16("count");
  for (let i = 0; i < count; i++) f.address(`member[${i}]`);
}
