/**
 * DNS messages: a question in, an answer out; as much of it as a server of its own few names needs.
 *
 *     offset  bytes  field
 *     0       2      id
 *     2       2      flags: 0x8000 response, 0x7800 opcode, 0x0400 authoritative, 0x0200 truncated, 0x0100 recursion
 *                    desired, 0x000f response code
 *     4       2      questions, 1
 *     6       6      answers, authorities, additional records
 *     12             question: name, type (2), class (2); then records
 *
 * A name is labels of a length byte and 1 to 63 bytes, ended by a 0. A record is name, type (2),
 * class (2), time to live (4), length (2), data. Of additional records OPT (EDNS) is looked at: its
 * class is the longest answer that is welcome.
 *
 * Ours and not `dns-packet`: that one reads a label with a dot in it as two and so cannot repeat the question as it was
 * asked, wants Node's Buffer, and takes 18 MB of memory; and we read one question and write six types.
 *
 * Source: RFC 1035 section 4, RFC 6891.
 * @module
 */
import { Reader, utf8, Writer } from "../../../lib/base/bytes.ts";
import { WireError } from "../../../lib/base/errors.ts";
import type { Ip } from "../../../lib/base/ip.ts";

const WHERE = "DNS message";
const HEADER_LENGTH = 12;
const NAME_LENGTH_MAX = 255;
const ADDITIONAL_MAX = 8; // one to four are seen; bounds the work on a question
const QUESTION_POINTER = 0xc00c; // "the name that is at offset 12"
const CLASS_IN = 1;
const CLASS_ANY = 255;
const EDNS_FLAGS_LENGTH = 4;
/** Longest answer over UDP to who does not say more is welcome. */
export const PLAIN_LENGTH_MAX = 512;
/** Longest answer over UDP at all: passes any path unfragmented (dnsflagday.net/2020). */
export const EDNS_LENGTH_MAX = 1_232;
/** Longest question that is looked at. */
export const QUESTION_LENGTH_MAX = 1_024;

/** Types of records. */
export const RecordType = {
  A: 1,
  NS: 2,
  SOA: 6,
  PTR: 12,
  AAAA: 28,
  OPT: 41,
  ANY: 255,
} as const;

/** Response codes. */
export const ResponseCode = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  /** An EDNS version we do not know; the high bits travel in OPT. */
  BADVERS: 16,
} as const;
export type ResponseCode = typeof ResponseCode[keyof typeof ResponseCode];

/** A question as it was asked. */
export interface Query {
  readonly id: number;
  readonly recursionDesired: boolean;
  /**
   * Lower case, without the last dot; a label with a dot in it has a backslash before it, so that
   * it is nobody's name.
   */
  readonly name: string;
  readonly type: number;
  /** As sent, capitals and all: the answer repeats them. */
  readonly question: Uint8Array;
  /** Longest answer over UDP that is welcome; undefined without EDNS. */
  readonly ednsLength: number | undefined;
  /** Why there can be no answer. */
  readonly problem: ResponseCode | undefined;
}

/** A record to answer with. */
export interface DnsRecord {
  /** Undefined: the name asked for. */
  readonly name?: string;
  readonly type: number;
  readonly ttlS: number;
  readonly data: Uint8Array;
}

/** What is answered. */
export interface Answer {
  readonly code: ResponseCode;
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
}

/** @throws {WireError} when it is no question that could be answered, not even with an error */
export function decodeQuery(bytes: Uint8Array): Query {
  if (bytes.length > QUESTION_LENGTH_MAX) throw new WireError(WHERE, `${bytes.length} bytes`);
  const r = new Reader(bytes, WHERE);
  const id = r.u16();
  const flags = r.u16();
  if (flags & 0x8000) throw new WireError(WHERE, "an answer");
  const counts = [r.u16(), r.u16(), r.u16(), r.u16()];
  const head = { id, recursionDesired: (flags & 0x0100) !== 0 };
  const bare = { ...head, name: "", type: 0, question: new Uint8Array(0), ednsLength: undefined };
  if (flags & 0x7800) return { ...bare, problem: ResponseCode.NOTIMP };
  const [questions, answers, authorities, additional] = counts;
  if (questions !== 1 || answers + authorities > 0 || additional > ADDITIONAL_MAX) {
    return { ...bare, problem: ResponseCode.FORMERR };
  }
  try {
    return { ...head, ...readQuestion(r, additional) };
  } catch (error) {
    if (error instanceof WireError) return { ...bare, problem: ResponseCode.FORMERR };
    throw error;
  }
}

function readQuestion(r: Reader, additional: number): Omit<Query, "id" | "recursionDesired"> {
  const name = readName(r);
  const type = r.u16();
  const recordClass = r.u16();
  const question = r.bytes.slice(HEADER_LENGTH, r.at);
  const edns = readEdns(r, additional);
  const isOurs = recordClass === CLASS_IN || recordClass === CLASS_ANY;
  const problem = edns && edns.version > 0
    ? ResponseCode.BADVERS
    : isOurs
    ? undefined
    : ResponseCode.REFUSED;
  return { name, type, question, ednsLength: edns?.length, problem };
}

/** Pointers are refused: there is nothing before a question to point to. */
function readName(r: Reader): string {
  const labels: string[] = [];
  const start = r.at;
  for (let length = r.u8(); length > 0; length = r.u8()) {
    if (length > 63 || r.at - start + length > NAME_LENGTH_MAX - 1) {
      throw new WireError(WHERE, "name");
    }
    labels.push(labelText(r.view(length)));
  }
  return labels.join(".");
}

function labelText(bytes: Uint8Array): string {
  const letters = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return letters.replace(/[A-Z]/g, (letter) => letter.toLowerCase()).replace(/[.\\]/g, "\\$&");
}

function readEdns(r: Reader, count: number): { length: number; version: number } | undefined {
  let edns: { length: number; version: number } | undefined;
  for (let i = 0; i < count; i++) {
    readName(r);
    const type = r.u16();
    const length = r.u16();
    const version = (r.u32() >>> 16) & 0xff;
    r.skip(r.u16());
    if (type !== RecordType.OPT) continue;
    if (edns) throw new WireError(WHERE, "OPT twice");
    edns = { length: Math.max(length, PLAIN_LENGTH_MAX), version };
  }
  return edns;
}

/**
 * The answer to a question; without records, and marked as cut short, when it would be too long.
 * @param lengthMax Bytes the way it goes can carry; over UDP see {@linkcode udpLengthMax}
 */
export function encodeAnswer(query: Query, answer: Answer, lengthMax: number): Uint8Array {
  const whole = write(query, answer, false);
  if (whole.length <= lengthMax) return whole;
  return write(query, { code: answer.code, answers: [], authorities: [] }, true);
}

/** How long an answer over UDP may be. */
export function udpLengthMax({ ednsLength }: Query): number {
  return Math.min(ednsLength ?? PLAIN_LENGTH_MAX, EDNS_LENGTH_MAX);
}

function write(query: Query, answer: Answer, isCut: boolean): Uint8Array {
  const { code, answers, authorities } = answer;
  const isKnown = code === ResponseCode.NOERROR || code === ResponseCode.NXDOMAIN;
  const flags = 0x8000 | (isKnown ? 0x0400 : 0) | (isCut ? 0x0200 : 0) |
    (query.recursionDesired ? 0x0100 : 0) | (code & 0xf);
  const hasEdns = query.ednsLength !== undefined;
  const w = new Writer(PLAIN_LENGTH_MAX).u16(query.id).u16(flags);
  w.u16(query.question.length > 0 ? 1 : 0).u16(answers.length).u16(authorities.length);
  w.u16(hasEdns ? 1 : 0).raw(query.question);
  for (const record of [...answers, ...authorities]) {
    if (record.name === undefined) w.u16(QUESTION_POINTER);
    else w.raw(encodeName(record.name));
    w.u16(record.type).u16(CLASS_IN).u32(record.ttlS).u16(record.data.length).raw(record.data);
  }
  if (hasEdns) {
    w.u8(0).u16(RecordType.OPT).u16(EDNS_LENGTH_MAX);
    w.u8(code >> 4).raw(new Uint8Array(EDNS_FLAGS_LENGTH + 1)); // version, flags, no options
  }
  return w.finish();
}

/** A name of labels that are some. */
export function encodeName(name: string): Uint8Array {
  const w = new Writer(64);
  for (const label of name.split(".")) {
    const bytes = utf8(label);
    w.u8(bytes.length).raw(bytes);
  }
  return w.u8(0).finish();
}

/** A or AAAA. */
export function addressRecord(ip: Ip, ttlS: number): DnsRecord {
  return { type: ip.length === 4 ? RecordType.A : RecordType.AAAA, ttlS, data: ip };
}

/** What a zone says about itself. @param negativeTtlS How long to remember that a name is not there */
export function soaData(server: string, negativeTtlS: number): Uint8Array {
  // Nobody copies the zone, so nobody looks at serial number, refresh, retry and expiry.
  return new Writer(128).raw(encodeName(server)).raw(encodeName(`hostmaster.${server}`))
    .u32(1).u32(3_600).u32(600).u32(86_400).u32(negativeTtlS).finish();
}
