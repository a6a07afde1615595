/**
 * PUSH_DIRECT_PATHS (verb 0x10): where else the sender may be reached.
 *
 *     offset  bytes  field
 *     0       2      number of records
 *     2       ...    records:
 *                    flags (1): 0x01 forget this path, 0x02 use it in place of what you have
 *                    length e of an extension (2), extension (e): "zt" and a note (1) where a zt
 *                    node has something to add, else empty; others are skipped, as the reference
 *                    skips ours
 *                    address type (1): 4 or 6; records of other types are skipped
 *                    address length (1): 6 or 18
 *                    IP (4 or 16), port (2), read in their natural size but skipped by the length given
 *
 * A packet that breaks off keeps the records before that.
 *
 * Source: spec 02 section 10.16; reference `Packet.hpp`, `VERB_PUSH_DIRECT_PATHS`.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";
import type { Endpoint } from "../base/ip.ts";
import { type PartialList, readPartial } from "./partial.ts";

const FLAG_FORGET = 0x01;
const FLAG_REDIRECT = 0x02;
const TYPE_IPV4 = 4;
const TYPE_IPV6 = 6;
const PORT_LENGTH = 2;
const NOTE_MARK = Uint8Array.of(0x7a, 0x74); // "zt"
const NOTE_LENGTH = 3;

/** What zt nodes say about ports in the extension of a record; the rest of the record stays what it is for anybody. */
export const PortNote = {
  /** The sender does not know how its NAT chooses ports. */
  UNKNOWN: 1,
  /** The sender is seen at the same port from everywhere. */
  SAME: 2,
  /** The sender is seen at another port by each destination: a symmetric NAT. */
  DIFFERENT: 3,
  /** The address is the receiver's: many ports of the sender's NAT are open to it for the next seconds. */
  OPEN: 4,
} as const;
export type PortNote = typeof PortNote[keyof typeof PortNote];

/** One way to reach the sender. */
export interface PushedPath {
  readonly endpoint: Endpoint;
  readonly note?: PortNote;
  /** The path is no more: the reference does nothing with such a record. */
  readonly forget: boolean;
  /** Use it in place of paths of lower priority. */
  readonly redirect: boolean;
}

/**
 * Paths of kinds we know, in order.
 * @throws {WireError} when the number of records is truncated
 */
export function decodePushDirectPaths(payload: Uint8Array): PartialList<PushedPath> {
  const r = new Reader(payload, "PUSH_DIRECT_PATHS");
  let left = r.u16();
  const read = readPartial(r, () => left-- > 0, decodePath);
  return { ...read, items: read.items.filter((path) => path !== undefined) };
}

function decodePath(r: Reader): PushedPath | undefined {
  const flags = r.u8();
  const note = decodeNote(r.view(r.u16()));
  const type = r.u8();
  const length = r.u8();
  const endpoint = decodeAddress(new Reader(r.bytes, r.where, r.at), type);
  r.skip(Math.min(length, r.remaining)); // past the end only the next record is missed
  return endpoint && {
    endpoint,
    ...note && { note },
    forget: (flags & FLAG_FORGET) !== 0,
    redirect: (flags & FLAG_REDIRECT) !== 0,
  };
}

function decodeNote(extension: Uint8Array): PortNote | undefined {
  const [z, t, note] = extension;
  if (extension.length !== NOTE_LENGTH || z !== NOTE_MARK[0] || t !== NOTE_MARK[1]) {
    return undefined;
  }
  return Object.values(PortNote).find((one) => one === note);
}

function decodeAddress(r: Reader, type: number): Endpoint | undefined {
  if (type !== TYPE_IPV4 && type !== TYPE_IPV6) return undefined;
  return { ip: r.copy(type === TYPE_IPV4 ? 4 : 16), port: r.u16() };
}

export function encodePushDirectPaths(paths: readonly PushedPath[], w: Writer): void {
  w.u16(paths.length);
  for (const { endpoint: { ip, port }, note, forget, redirect } of paths) {
    w.u8((forget ? FLAG_FORGET : 0) | (redirect ? FLAG_REDIRECT : 0));
    if (note === undefined) w.u16(0);
    else w.u16(NOTE_LENGTH).raw(NOTE_MARK).u8(note);
    w.u8(ip.length === 4 ? TYPE_IPV4 : TYPE_IPV6).u8(ip.length + PORT_LENGTH).raw(ip).u16(port);
  }
}
