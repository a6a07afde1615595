/**
 * A packet field by field, for `zt decode` and for error reports. Reads every verb, and what it cannot read it shows as
 * bytes: it never throws.
 *
 * Source: spec 02 sections 2, 10 and 11; field names are those of `packets.json`.
 * @module
 */
import { toHex } from "../base/bytes.ts";
import {
  describeCapability,
  describeChunk,
  describeCom,
  describeEndpoint,
  describeGatherResult,
  describeIdentity,
  describeList,
  describeOwnership,
  describeRevocation,
  describeTag,
  describeWorld,
} from "./describe_parts.ts";
import { type Field, FieldReader } from "./field_reader.ts";
import {
  AT_PAYLOAD,
  cipherOf,
  ErrorCode,
  HEADER_LENGTH,
  Verb,
  VERB_COMPRESSED,
  verbName,
  verbOf,
} from "./packet.ts";

/**
 * The header.
 * @param packet 28 bytes or more
 */
export function describeHeader(packet: Uint8Array): Field[] {
  const f = new FieldReader(packet.subarray(0, HEADER_LENGTH), 0);
  return f.whole(() => {
    f.id("packetId");
    f.address("destination");
    f.address("source");
    f.read("flags", 1, ([flags]) => formatFlags(flags, cipherOf(packet)));
    f.bytes("mac", 8);
    f.read("verb", 1, ([verb]) => formatVerb(verb, verbOf(packet)));
  });
}

function formatFlags(flags: number, cipher: number): string {
  const fragmented = flags & 0x40 ? ", fragmented" : "";
  return `cipher ${cipher}${fragmented}, hops ${flags & 7}`;
}

function formatVerb(byte: number, verb: number): string {
  return byte & VERB_COMPRESSED ? `${verbName(verb)}, compressed` : verbName(verb);
}

/**
 * The payload.
 * @param packet Opened, decompressed, and the tail of a HELLO decrypted
 */
export function describePayload(packet: Uint8Array): Field[] {
  const f = new FieldReader(packet, AT_PAYLOAD);
  const describe = PAYLOADS[verbOf(packet)] ?? unknown;
  return f.whole(() => describe(f));
}

type Describe = (f: FieldReader) => void;

function unknown(f: FieldReader): void {
  if (f.remaining > 0) f.bytes("payload");
}

const PAYLOADS: Readonly<Record<number, Describe>> = {
  [Verb.NOP]: unknown,
  [Verb.HELLO]: hello,
  [Verb.ERROR]: error,
  [Verb.OK]: ok,
  [Verb.WHOIS]: whois,
  [Verb.RENDEZVOUS]: rendezvous,
  [Verb.FRAME]: frame,
  [Verb.EXT_FRAME]: extFrame,
  [Verb.ECHO]: unknown,
  [Verb.MULTICAST_LIKE]: multicastLike,
  [Verb.NETWORK_CREDENTIALS]: networkCredentials,
  [Verb.NETWORK_CONFIG_REQUEST]: networkConfigRequest,
  [Verb.NETWORK_CONFIG]: describeChunk,
  [Verb.MULTICAST_GATHER]: multicastGather,
  [Verb.MULTICAST_FRAME]: multicastFrame,
  [Verb.PUSH_DIRECT_PATHS]: pushDirectPaths,
  [Verb.ACK]: (f) => void f.u32("bytes"),
  [Verb.QOS_MEASUREMENT]: qosMeasurement,
  [Verb.USER_MESSAGE]: userMessage,
  [Verb.REMOTE_TRACE]: remoteTrace,
  [Verb.PATH_NEGOTIATION_REQUEST]: pathNegotiation,
};

const OK_BODIES: Readonly<Record<number, Describe>> = {
  [Verb.HELLO]: okHello,
  [Verb.WHOIS]: okWhois,
  [Verb.EXT_FRAME]: (f) => void f.id("networkId"),
  [Verb.ECHO]: (f) => void (f.remaining > 0 && f.bytes("echoedPayload")),
  [Verb.NETWORK_CONFIG_REQUEST]: describeChunk,
  [Verb.NETWORK_CONFIG]: okNetworkConfig,
  [Verb.MULTICAST_GATHER]: okMulticastGather,
  [Verb.MULTICAST_FRAME]: okMulticastFrame,
};

function version(f: FieldReader): void {
  f.u8("protocolVersion");
  f.u8("majorVersion");
  f.u8("minorVersion");
  f.u16("revision");
}

function hello(f: FieldReader): void {
  version(f);
  f.u64("timestamp");
  f.group("identity", () => describeIdentity(f));
  if (f.remaining > 0) describeEndpoint(f, "sentTo");
  if (f.remaining < 16) return;
  f.id("planetId");
  f.u64("planetTimestamp");
  if (f.remaining < 2) return;
  describeList(f, "moon", f.u16("moonCount"), () => {
    f.u8("type");
    f.id("id");
    f.u64("timestamp");
  });
}

function ok(f: FieldReader): void {
  const verb = f.u8("inReVerb");
  f.id("inRePacketId");
  (OK_BODIES[verb] ?? unknown)(f);
}

function okHello(f: FieldReader): void {
  f.u64("timestampEcho");
  version(f);
  if (f.remaining > 0) describeEndpoint(f, "yourPhysicalAddress");
  if (f.remaining < 2) return;
  const length = f.u16("worldUpdatesLength");
  const after = Math.max(f.remaining - length, 0);
  for (let i = 0; f.remaining > after; i++) f.group(`world[${i}]`, () => describeWorld(f));
}

function okWhois(f: FieldReader): void {
  for (let i = 0; f.remaining > 0; i++) f.group(`identity[${i}]`, () => describeIdentity(f));
}

function okNetworkConfig(f: FieldReader): void {
  f.id("networkId");
  f.id("configUpdateId");
}

function okMulticastGather(f: FieldReader): void {
  f.id("networkId");
  group(f, "mac");
  describeGatherResult(f);
}

function okMulticastFrame(f: FieldReader): void {
  f.id("networkId");
  group(f, "mac");
  const flags = f.u8("flags");
  if (flags & 1) f.group("com", () => describeCom(f));
  if (flags & 2) describeGatherResult(f);
}

function group(f: FieldReader, macName: string): void {
  f.mac(macName);
  f.u32("adi");
}

function error(f: FieldReader): void {
  f.u8("inReVerb");
  f.id("inRePacketId");
  const code = f.u8("errorCode");
  if (f.remaining < 8) return unknown(f);
  f.id("networkId");
  if (code === ErrorCode.UNWANTED_MULTICAST) group(f, "mac");
  if (code === ErrorCode.NETWORK_AUTHENTICATION_REQUIRED && f.remaining > 2) {
    f.dictionary("details", f.u16("detailsLength"));
  }
}

function whois(f: FieldReader): void {
  if (f.remaining < 10) return void f.address("address");
  for (let i = 0; f.remaining >= 5; i++) f.address(`address[${i}]`);
}

function rendezvous(f: FieldReader): void {
  f.u8("flags");
  f.address("peer");
  f.u16("port");
  const length = f.u8("ipLength");
  if (length === 4 || length === 16) f.ip("ip", length);
}

function frame(f: FieldReader): void {
  f.id("networkId");
  etherType(f);
  f.bytes("frame");
}

function etherType(f: FieldReader): void {
  f.read("etherType", 2, (bytes) => `0x${toHex(bytes)}`);
}

function extFrame(f: FieldReader): void {
  f.id("networkId");
  if (f.u8("flags") & 1) f.group("com", () => describeCom(f));
  f.mac("toMac");
  f.mac("fromMac");
  etherType(f);
  f.bytes("frame");
}

function multicastLike(f: FieldReader): void {
  for (let i = 0; f.remaining > 0; i++) {
    f.group(`like[${i}]`, () => {
      f.id("networkId");
      group(f, "mac");
    });
  }
}

function networkCredentials(f: FieldReader): void {
  for (let i = 0; f.remaining > 0 && f.peek() !== 0; i++) {
    f.group(`com[${i}]`, () => describeCom(f));
  }
  if (f.remaining > 0) f.bytes("comTerminator", 1);
  const sections: [count: string, name: string, describe: Describe][] = [
    ["capabilityCount", "capability", describeCapability],
    ["tagCount", "tag", describeTag],
    ["revocationCount", "revocation", describeRevocation],
    ["certificateOfOwnershipCount", "certificateOfOwnership", describeOwnership],
  ];
  for (const [count, name, describe] of sections) {
    if (f.remaining > 0) describeList(f, name, f.u16(count), describe);
  }
}

function networkConfigRequest(f: FieldReader): void {
  f.id("networkId");
  if (f.remaining > 0) f.dictionary("metaData", f.u16("metaDataLength"));
  if (f.remaining >= 8) f.u64("haveRevision");
  if (f.remaining >= 8) f.u64("haveTimestamp");
}

function multicastGather(f: FieldReader): void {
  f.id("networkId");
  const flags = f.u8("flags");
  group(f, "mac");
  f.u32("gatherLimit");
  if (flags & 1) f.group("com", () => describeCom(f));
}

function multicastFrame(f: FieldReader): void {
  f.id("networkId");
  const flags = f.u8("flags");
  if (flags & 1) f.group("com", () => describeCom(f));
  if (flags & 2) f.u32("gatherLimit");
  if (flags & 4) f.mac("sourceMac");
  group(f, "destMac");
  etherType(f);
  f.bytes("frame");
}

function pushDirectPaths(f: FieldReader): void {
  describeList(f, "path", f.u16("count"), () => {
    f.u8("flags");
    const extension = f.u16("extLength");
    if (extension > 0) f.bytes("extension", extension);
    const type = f.u8("addressType");
    const length = f.u8("addressLength");
    const ipLength = type === 4 ? 4 : 16;
    if ((type === 4 || type === 6) && length === ipLength + 2) {
      f.ip("ip", ipLength);
      f.u16("port");
    } else {
      f.bytes("address", length);
    }
  });
}

function qosMeasurement(f: FieldReader): void {
  for (let i = 0; f.remaining >= 10; i++) {
    f.group(`record[${i}]`, () => {
      f.read("packetId", 8, (bytes) => toHex(bytes.slice().reverse())); // little-endian
      f.read("holdTime", 2, ([low, high]) => low | (high << 8));
    });
  }
}

function userMessage(f: FieldReader): void {
  if (f.remaining < 8) return unknown(f);
  f.id("messageType");
  f.bytes("message");
}

function remoteTrace(f: FieldReader): void {
  for (let i = 0; f.remaining > 0; i++) {
    const at = f.packet.length - f.remaining;
    const end = f.packet.indexOf(0, at);
    if (end < 0) return;
    f.dictionary(`dictionary[${i}]`, end - at);
    f.bytes(`terminator[${i}]`, 1);
  }
}

function pathNegotiation(f: FieldReader): void {
  if (f.remaining !== 2) return unknown(f);
  f.read("utility", 2, ([high, low]) => ((high << 8 | low) << 16) >> 16);
}
