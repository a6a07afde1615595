/**
 * `zt decode`: a captured packet field by field. What the command prints, as functions of what it was given.
 * @module
 */
import { fromHex, text, toHex } from "../../lib/base/bytes.ts";
import { UsageError, WireError } from "../../lib/base/errors.ts";
import { formatAddress } from "../../lib/base/ids.ts";
import { Dictionary } from "../../lib/credential/dictionary.ts";
import type { Primitives } from "../../lib/crypto/primitives.ts";
import {
  deriveSessionKeys,
  SESSION_KEY_BYTES,
  type SessionKeys,
} from "../../lib/crypto/session_keys.ts";
import type { Identity } from "../../lib/identity/identity.ts";
import { agree } from "../../lib/identity/sign.ts";
import type { PacketCipher } from "../../lib/kernel/twin.ts";
import { Armor } from "../../lib/wire/armor.ts";
import { decodeBeacon } from "../../lib/wire/beacon.ts";
import { decompress } from "../../lib/wire/compress.ts";
import { describeHeader, describePayload } from "../../lib/wire/describe.ts";
import type { Field } from "../../lib/wire/field_reader.ts";
import { Reassembler } from "../../lib/wire/fragment.ts";
import { decodeHello } from "../../lib/wire/hello.ts";
import {
  AT_FLAGS,
  AT_PAYLOAD,
  AT_VERB,
  Cipher,
  cipherOf,
  FLAG_FRAGMENTED,
  FRAGMENT_HEADER_LENGTH,
  HEADER_LENGTH,
  isFragment,
  PACKET_LENGTH_MAX,
  PAYLOAD_LENGTH_MAX,
  Verb,
  VERB_COMPRESSED,
  verbName,
  verbOf,
} from "../../lib/wire/packet.ts";

/** What opens a packet: the two ends, one of them with its secret; or what they agreed on. */
export type DecodeKeys =
  | { readonly kind: "identities"; readonly mine: Identity; readonly theirs: Identity }
  | { readonly kind: "agreed"; /** 48 bytes */ readonly key: Uint8Array };

export interface DecodeInput {
  /** UDP payloads of one packet: the packet, or its head and fragments in any order. */
  readonly datagrams: readonly Uint8Array[];
  /** Without keys only what travels in the clear is shown. */
  readonly keys?: DecodeKeys;
  readonly primitives: Primitives;
  readonly kernel: PacketCipher;
}

/** A packet taken apart; also what `--json` prints. */
export interface DecodedPacket {
  /** Name of the verb; "?" while it is encrypted. */
  readonly verb: string;
  readonly datagrams: number;
  readonly lengthBytes: number;
  /**
   * "yes": keys were given and fit. "no": they were given and do not. "unchecked": there are none,
   * or the packet was sent over a trusted path, which has none.
   */
  readonly authentic: "yes" | "no" | "unchecked";
  readonly compressed: boolean;
  readonly header: readonly Field[];
  /** Empty when the payload could not be read, see {@linkcode DecodedPacket.note}. */
  readonly fields: readonly Field[];
  /** Why there is no more to see; "" when all is shown. */
  readonly note: string;
}

/**
 * Takes one packet apart.
 * @throws {UsageError} when the datagrams are not one packet, or the keys cannot be keys
 */
export function decodePacket(input: DecodeInput): DecodedPacket {
  const { datagrams } = input;
  const beacon = datagrams.length === 1 ? decodeBeacon(datagrams[0]) : undefined;
  if (beacon !== undefined) return describeBeacon(datagrams[0], formatAddress(beacon));
  const sealed = assemble(datagrams);
  const armor = new Armor(input.kernel);
  const keys = input.keys && sessionKeys(input.primitives, input.keys);
  const { packet, authentic } = open(sealed, armor, keys);
  const about = { datagrams: datagrams.length, lengthBytes: sealed.length, authentic };
  if (!packet) {
    const header = describeHeader(sealed).filter((field) => field.name !== "verb"); // encrypted too
    const note = keys ? "the keys do not open this packet" : "encrypted: give the keys to see more";
    return { verb: "?", ...about, compressed: false, header, fields: [], note };
  }
  const compressed = (packet[AT_VERB] & VERB_COMPRESSED) !== 0;
  const shown = { verb: verbName(verbOf(packet)), ...about, compressed };
  const header = describeHeader(packet);
  const plain = compressed ? expand(packet) : packet;
  if (!plain) return { ...shown, header, fields: [], note: "the payload does not decompress" };
  const visible = showHelloTail(plain, armor, authentic === "yes" ? keys : undefined);
  const note = visible === plain ? "" : "tail encrypted: give the keys to see it";
  return { ...shown, header, fields: describePayload(visible), note };
}

function describeBeacon(datagram: Uint8Array, address: string): DecodedPacket {
  const fields: Field[] = [
    { name: "ignored", offset: 0, length: 8, hex: toHex(datagram.subarray(0, 8)) },
    { name: "source", offset: 8, length: 5, hex: toHex(datagram.subarray(8)), value: address },
  ];
  return {
    verb: "beacon",
    datagrams: 1,
    lengthBytes: datagram.length,
    authentic: "unchecked",
    compressed: false,
    header: [],
    fields,
    note: "a LAN beacon of versions before 1.0.4, not a packet",
  };
}

/** A copy that may be written to. */
function assemble(datagrams: readonly Uint8Array[]): Uint8Array {
  for (const datagram of datagrams) {
    const fragment = datagram.length > FRAGMENT_HEADER_LENGTH && isFragment(datagram);
    if (!fragment && datagram.length < HEADER_LENGTH) {
      throw new UsageError(`a datagram of ${datagram.length} bytes is not a packet`);
    }
    if (datagram.length > PACKET_LENGTH_MAX) {
      throw new UsageError(`a datagram of ${datagram.length} bytes is longer than any packet`);
    }
  }
  const [first] = datagrams;
  if (!first) throw new UsageError("no datagram given");
  if (datagrams.length === 1 && !isFragment(first)) {
    if (first[AT_FLAGS] & FLAG_FRAGMENTED) throw new UsageError("a head without its fragments");
    return first.slice();
  }
  const reassembler = new Reassembler();
  for (const datagram of datagrams) {
    const whole = reassembler.add("", datagram, 0);
    if (whole) return whole.packet;
  }
  throw new UsageError("the datagrams are not one whole packet: a head and all its fragments");
}

function sessionKeys(primitives: Primitives, keys: DecodeKeys): SessionKeys {
  if (keys.kind === "agreed") {
    if (keys.key.length !== SESSION_KEY_BYTES) {
      throw new UsageError(`an agreed key has ${SESSION_KEY_BYTES} bytes, not ${keys.key.length}`);
    }
    return deriveSessionKeys(primitives, keys.key);
  }
  if (!keys.mine.secretKey) throw new UsageError("neither identity has its secret");
  const key = agree(primitives, keys.mine, keys.theirs.publicKey);
  if (!key) throw new UsageError("no key can be agreed with this identity");
  return deriveSessionKeys(primitives, key);
}

/** @returns the packet opened; no packet when its payload cannot be read */
function open(
  sealed: Uint8Array,
  armor: Armor,
  keys: SessionKeys | undefined,
): { packet?: Uint8Array; authentic: DecodedPacket["authentic"] } {
  const cipher = cipherOf(sealed);
  const clear = cipher === Cipher.POLY1305_NONE || cipher === Cipher.TRUSTED_PATH;
  const asIs = clear ? sealed : undefined;
  if (!keys || cipher === Cipher.TRUSTED_PATH) return { packet: asIs, authentic: "unchecked" };
  const packet = sealed.slice();
  if (armor.open(packet, keys)) return { packet, authentic: "yes" };
  return { packet: asIs, authentic: "no" };
}

function expand(packet: Uint8Array): Uint8Array | undefined {
  const payload = decompress(packet.subarray(AT_PAYLOAD), PAYLOAD_LENGTH_MAX);
  if (!payload) return undefined;
  const plain = new Uint8Array(HEADER_LENGTH + payload.length);
  plain.set(packet.subarray(0, HEADER_LENGTH));
  plain.set(payload, HEADER_LENGTH);
  plain[AT_VERB] &= ~VERB_COMPRESSED;
  return plain;
}

/** @returns the packet with its tail decrypted in place; without the tail when there is no key for it */
function showHelloTail(
  packet: Uint8Array,
  armor: Armor,
  keys: SessionKeys | undefined,
): Uint8Array {
  const tailAt = verbOf(packet) === Verb.HELLO ? findTail(packet) : undefined;
  if (tailAt === undefined) return packet;
  if (!keys) return packet.subarray(0, AT_PAYLOAD + tailAt);
  armor.cryptHelloTail(packet, AT_PAYLOAD + tailAt, keys);
  return packet;
}

function findTail(packet: Uint8Array): number | undefined {
  try {
    return decodeHello(packet.subarray(AT_PAYLOAD)).tailAt;
  } catch (error) {
    if (error instanceof WireError) return undefined; // malformed: shown as far as it can be read
    throw error;
  }
}

/** Text for people: one line a field, dictionaries spread over lines of their own. */
export function renderDecoded(decoded: DecodedPacket): string {
  const { verb, datagrams, lengthBytes, authentic, compressed } = decoded;
  const pieces = datagrams === 1 ? "1 datagram" : `${datagrams} datagrams`;
  const lines = [
    `${verb}: ${lengthBytes} bytes in ${pieces}, authentic: ${authentic}` +
    (compressed ? ", was compressed" : ""),
  ];
  const fields = [...decoded.header, ...decoded.fields];
  const width = Math.max(0, ...fields.map((field) => field.name.length));
  for (const field of fields) lines.push(...renderField(field, width));
  if (decoded.note !== "") lines.push(`(${decoded.note})`);
  return lines.join("\n") + "\n";
}

const HEX_SHOWN = 64; // digits of bytes that mean nothing to a reader
const LONG_BYTES = 64; // a value this long is text in lines of its own

function renderField(field: Field, width: number): string[] {
  const place = `${String(field.offset).padStart(5)} ${String(field.length).padStart(5)}`;
  const head = `${place}  ${field.name.padEnd(width)}`;
  const short = shortHex(field.hex);
  const dictionary = dictionaryLines(field);
  if (dictionary.length > 0) return [head.trimEnd(), ...dictionary];
  if (field.value === undefined) return [`${head}  ${short}`.trimEnd()];
  if (typeof field.value === "string" && field.length > LONG_BYTES) return [`${head}  ${short}`];
  return [`${head}  ${field.value}`];
}

/** The beginning; `--json` has all. */
function shortHex(hex: string): string {
  return hex.length > HEX_SHOWN ? `${hex.slice(0, HEX_SHOWN)}... (${hex.length / 2} bytes)` : hex;
}

/** Lines of a field that holds a dictionary, e.g. a piece of a network configuration. */
function dictionaryLines(field: Field): string[] {
  if (!/^(chunkData|metaData|details|dictionary\[\d+\])$/.test(field.name)) return [];
  const dictionary = Dictionary.decode(fromHex(field.hex));
  return dictionary.keys().map((key) => {
    const value = dictionary.get(key)!;
    // deno-lint-ignore no-control-regex -- control characters are what tells bytes from text
    const readable = !/[\x00-\x1f\x7f\ufffd]/.test(text(value));
    return `${" ".repeat(15)}${key}=${readable ? text(value) : shortHex(toHex(value))}`;
  });
}
