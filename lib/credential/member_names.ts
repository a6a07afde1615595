/**
 * The names of a network's members, as its controller hands them out: two keys of the config
 * dictionary of ours, which the reference ignores, and which are sent to nobody who did not ask.
 *
 *     znh   64-bit number that tells one list from another: 16 digits
 *     zn    the list, binary; absent when the member asked with the number of this very list, and
 *           so holds it, or when it is long and follows by itself
 *
 * A member asks by the key `zn` of its request: the number of the list it holds, 0 for none. The list:
 *
 *     bytes  field
 *     1      flags: 1 there are more members than are listed, ask the controller for the others
 *            and for each member, up to the end:
 *     5      address
 *     1 + n  length and text of the label
 *     1      count of IP addresses
 *            for each: 1 byte length, 4 or 16, and the address
 *
 * Source: ours; unknown keys of a dictionary are ignored, spec 04 sections 3 and 8.
 * @module
 */
import { Reader, text, utf8, Writer } from "../base/bytes.ts";
import { isDnsLabel } from "../base/dns_label.ts";
import { WireError } from "../base/errors.ts";
import type { Address } from "../base/ids.ts";
import type { Ip } from "../base/ip.ts";
import type { Dictionary, DictionaryWriter } from "./dictionary.ts";

const WHERE = "member names";
const FLAG_ON_DEMAND = 1;
/** Members in one list: bounds what a controller can make a member hold. */
export const NAMES_MAX = 4_096;
/** Addresses of one member in a list. */
const NAME_IPS_MAX = 32;

/** One member and where it is. */
export interface MemberName {
  readonly address: Address;
  /** One label in lower case, the only one of its network that is this. */
  readonly label: string;
  /** Managed addresses, derived ones included; at most 32. */
  readonly ips: readonly Ip[];
}

/** Names of one network's members. Immutable. */
export interface NameList {
  /** Tells this list from others; not 0. */
  readonly hash: bigint;
  /** There are more than are listed: the controller, if it is a listed member, knows the others. */
  readonly onDemand: boolean;
  /** Undefined: as before, or still to come. */
  readonly members: readonly MemberName[] | undefined;
}

/** The binary list. */
export function encodeNames(members: readonly MemberName[], onDemand: boolean): Uint8Array {
  const w = new Writer(1_024).u8(onDemand ? FLAG_ON_DEMAND : 0);
  for (const { address, label, ips } of members) {
    const bytes = utf8(label);
    w.address(address).u8(bytes.length).raw(bytes).u8(ips.length);
    for (const ip of ips) w.u8(ip.length).raw(ip);
  }
  return w.finish();
}

/** @throws {WireError} when truncated, too long, or something in it is no label or no IP address */
export function decodeNames(bytes: Uint8Array): { members: MemberName[]; onDemand: boolean } {
  const r = new Reader(bytes, WHERE);
  const onDemand = (r.u8() & FLAG_ON_DEMAND) !== 0;
  const members: MemberName[] = [];
  while (r.remaining > 0) {
    if (members.length === NAMES_MAX) throw new WireError(WHERE, "too many");
    const address = r.address();
    const label = text(r.view(r.u8()));
    if (!isDnsLabel(label)) throw new WireError(WHERE, "not a label");
    const count = r.u8();
    if (count > NAME_IPS_MAX) throw new WireError(WHERE, `${count} addresses`);
    members.push({ address, label, ips: Array.from({ length: count }, () => readIp(r)) });
  }
  return { members, onDemand };
}

function readIp(r: Reader): Ip {
  const length = r.u8();
  if (length !== 4 && length !== 16) throw new WireError(WHERE, `address of ${length} bytes`);
  return r.copy(length);
}

/** Writes both keys, or one when the member holds the list; nothing when there are no names. */
export function putNames(names: NameList | undefined, d: DictionaryWriter): void {
  if (!names) return;
  d.uint("znh", names.hash);
  if (names.members) d.bytes("zn", encodeNames(names.members, names.onDemand));
}

/** Reads both keys. A list that is malformed is as none: a network works without names. */
export function takeNames(d: Dictionary): NameList | undefined {
  const hash = d.getUint("znh");
  const list = d.get("zn");
  if (hash === 0n) return undefined;
  if (!list) return { hash, onDemand: false, members: undefined };
  try {
    return { hash, ...decodeNames(list) };
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}
