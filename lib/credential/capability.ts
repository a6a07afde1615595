/**
 * Capability: rules of its own that the controller lets a member use, on top of the network's.
 *
 *     offset  bytes  field
 *     0       8      network id
 *     8       8      timestamp
 *     16      4      capability id
 *     20      2      number of rules, at most 64
 *     22      r      rules, see `rule_codec.ts`
 *     22+r    1      most links the chain of custody may have, 1 to 7
 *     then    109    each link: to (5), from (5), signature (99, see `signature.ts`)
 *     then    5      0: the chain ends
 *     then    2      length of additional fields, which are skipped
 *
 * Every link signs the same message, which holds no links. Controllers issue one link, from themselves to the member.
 *
 * Source: spec 04 section 9.3.
 * @module
 */
import { type Reader, Writer } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { type Address, controllerOf, type NetworkId, NIL_ADDRESS } from "../base/ids.ts";
import type { Primitives } from "../crypto/primitives.ts";
import type { Identity } from "../identity/identity.ts";
import { sign } from "../identity/sign.ts";
import { decodeRule, decodeRules, encodeRule } from "./rule_codec.ts";
import {
  decodeSignature,
  encodeSignature,
  type PublicKeyOf,
  signedMessage,
  skipAdditional,
  type Verification,
  verifySignedBy,
} from "./signature.ts";

/** Most rules in one capability. */
export const CAPABILITY_RULES_MAX = 64;
const CUSTODY_LINKS_MAX = 7; // spec 04 section 4

/** One hand-over of a capability. */
export interface CustodyLink {
  readonly to: Address;
  readonly from: Address;
  /** 96 bytes. */
  readonly signature: Uint8Array;
}

/** What is signed. */
export interface CapabilityFields {
  readonly networkId: NetworkId;
  readonly timestampMs: number;
  readonly id: number;
  /** In the shortest form of each rule, which is the form that is signed. */
  readonly rules: Uint8Array;
  /** 1 to 7. */
  readonly custodyLinksMax: number;
}

export interface Capability extends CapabilityFields {
  readonly custody: readonly CustodyLink[];
}

/**
 * @throws {WireError} when truncated, with more than 64 rules, or with a chain longer than it or
 * the protocol allows
 */
export function decodeCapability(r: Reader): Capability {
  const networkId = r.u64() as NetworkId;
  const timestampMs = r.time();
  const id = r.u32();
  const rules = decodeCapabilityRules(r);
  const custodyLinksMax = r.u8();
  if (custodyLinksMax < 1 || custodyLinksMax > CUSTODY_LINKS_MAX) {
    throw new WireError(r.where, `capability for ${custodyLinksMax} custody links`);
  }
  const custody = decodeCustody(r, custodyLinksMax);
  skipAdditional(r);
  return { networkId, timestampMs, id, rules, custodyLinksMax, custody };
}

function decodeCapabilityRules(r: Reader): Uint8Array {
  const count = r.u16();
  if (count > CAPABILITY_RULES_MAX) throw new WireError(r.where, `capability of ${count} rules`);
  const w = new Writer();
  for (let i = 0; i < count; i++) encodeRule(decodeRule(r), w);
  return w.finish();
}

function decodeCustody(r: Reader, linksMax: number): CustodyLink[] {
  const custody: CustodyLink[] = [];
  for (;;) {
    const to = r.address();
    if (to === NIL_ADDRESS) return custody;
    if (custody.length === linksMax) throw new WireError(r.where, "custody chain too long");
    custody.push({ to, from: r.address(), signature: decodeSignature(r) });
  }
}

export function encodeCapability(capability: Capability, w: Writer): void {
  encodeFields(capability, w);
  for (const link of capability.custody) {
    w.address(link.to).address(link.from);
    encodeSignature(link.signature, w);
  }
  w.address(NIL_ADDRESS).u16(0); // the chain ends; no additional fields
}

function encodeFields(capability: CapabilityFields, w: Writer): void {
  w.u64(capability.networkId).time(capability.timestampMs).u32(capability.id);
  w.u16(decodeRules(capability.rules).length).raw(capability.rules);
  w.u8(capability.custodyLinksMax);
}

/** The bytes every link's signature is over: neither the links nor the zero address that ends them. */
export function capabilitySignedMessage(capability: CapabilityFields): Uint8Array {
  return signedMessage((w) => {
    encodeFields(capability, w);
    w.u16(0);
  });
}

/** The member who holds it: the end of the chain; nobody when there is none. */
export function capabilityIssuedTo(capability: Capability): Address {
  return capability.custody.at(-1)?.to ?? NIL_ADDRESS;
}

/**
 * Adds a link: the first is the controller's.
 * @throws {RangeError} when the rules or the links are more than a receiver would read
 */
export function signCapability(
  primitives: Primitives,
  signer: Identity,
  capability: CapabilityFields & { readonly custody?: readonly CustodyLink[] },
  to: Address,
): Capability {
  const custody = capability.custody ?? [];
  if (custody.length >= capability.custodyLinksMax) {
    throw new RangeError(`custody: ${custody.length} links are all it may have`);
  }
  const rules = canonicalRules(capability.rules);
  const whole = { ...capability, rules };
  const signature = sign(primitives, signer, capabilitySignedMessage(whole));
  return { ...whole, custody: [...custody, { to, from: signer.address, signature }] };
}

function canonicalRules(bytes: Uint8Array): Uint8Array {
  const rules = decodeRules(bytes);
  if (rules.length > CAPABILITY_RULES_MAX) {
    throw new RangeError(`rules: ${rules.length} exceed ${CAPABILITY_RULES_MAX}`);
  }
  const w = new Writer();
  for (const rule of rules) encodeRule(rule, w);
  return w.finish();
}

/** Whether the chain begins at the network's controller, hands over without a gap, and every link is signed. */
export function verifyCapability(
  primitives: Primitives,
  capability: Capability,
  publicKeyOf: PublicKeyOf,
): Verification {
  if (capability.custody.length === 0) return "bad";
  const message = capabilitySignedMessage(capability);
  let holder = controllerOf(capability.networkId);
  for (const link of capability.custody) {
    const result = verifySignedBy(primitives, {
      expected: holder,
      signer: link.from,
      signature: link.signature,
      message: () => message,
    }, publicKeyOf);
    if (result !== "ok") return result;
    holder = link.to;
  }
  return "ok";
}
