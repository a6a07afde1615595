/**
 * The versions HELLO and OK(HELLO) announce.
 *
 *     offset  bytes  field
 *     0       1      protocol version
 *     1       1      software major
 *     2       1      software minor
 *     3       2      software revision
 *
 * Source: spec 02 sections 7, 10.2.1 and 10.2.5.
 * @module
 */
import type { Reader, Writer } from "../base/bytes.ts";

/** What a node says it is. */
export interface Version {
  /** Decides ciphers and formats; 4 is the oldest spoken. */
  readonly protocol: number;
  readonly major: number;
  readonly minor: number;
  readonly revision: number;
}

export function decodeVersion(r: Reader): Version {
  return { protocol: r.u8(), major: r.u8(), minor: r.u8(), revision: r.u16() };
}

export function encodeVersion(version: Version, w: Writer): void {
  w.u8(version.protocol).u8(version.major).u8(version.minor).u16(version.revision);
}
