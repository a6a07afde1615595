/**
 * For every verb, and every OK by the verb it answers: decode a payload and encode what came out.
 * Shared by the tests of golden packets and of truncations.
 * @module
 */
import { fromHex, Writer } from "../../../../lib/base/bytes.ts";
import { WireError } from "../../../../lib/base/errors.ts";
import { decodeAck, encodeAck } from "../../../../lib/wire/ack.ts";
import { decodeEcho, encodeEcho } from "../../../../lib/wire/echo.ts";
import {
  decodeAuthenticationRequired,
  decodeError,
  decodeErrorNetwork,
  decodeUnwantedMulticast,
  encodeAuthenticationRequired,
  encodeError,
  encodeErrorNetwork,
  encodeUnwantedMulticast,
} from "../../../../lib/wire/error.ts";
import {
  decodeExtFrame,
  decodeOkExtFrame,
  encodeExtFrame,
  encodeOkExtFrame,
} from "../../../../lib/wire/ext_frame.ts";
import { decodeFrame, encodeFrame } from "../../../../lib/wire/frame.ts";
import {
  decodeHello,
  decodeHelloTail,
  decodeOkHello,
  decodeWorlds,
  encodeHello,
  encodeOkHello,
  encodeWorlds,
} from "../../../../lib/wire/hello.ts";
import {
  decodeMulticastFrame,
  decodeOkMulticastFrame,
  encodeMulticastFrame,
  encodeOkMulticastFrame,
} from "../../../../lib/wire/multicast_frame.ts";
import {
  decodeMulticastGather,
  decodeOkMulticastGather,
  encodeMulticastGather,
  encodeOkMulticastGather,
} from "../../../../lib/wire/multicast_gather.ts";
import { decodeMulticastLike, encodeMulticastLike } from "../../../../lib/wire/multicast_like.ts";
import {
  decodeNetworkConfig,
  decodeOkNetworkConfig,
  encodeNetworkConfig,
  encodeOkNetworkConfig,
} from "../../../../lib/wire/network_config.ts";
import {
  decodeNetworkConfigRequest,
  encodeNetworkConfigRequest,
} from "../../../../lib/wire/network_config_request.ts";
import {
  decodeNetworkCredentials,
  encodeNetworkCredentials,
} from "../../../../lib/wire/network_credentials.ts";
import { decodeOk, encodeInRe } from "../../../../lib/wire/ok.ts";
import { Verb } from "../../../../lib/wire/packet.ts";
import {
  decodePathNegotiation,
  encodePathNegotiation,
} from "../../../../lib/wire/path_negotiation.ts";
import {
  decodePushDirectPaths,
  encodePushDirectPaths,
} from "../../../../lib/wire/push_direct_paths.ts";
import {
  decodeQosMeasurement,
  encodeQosMeasurement,
} from "../../../../lib/wire/qos_measurement.ts";
import { decodeRemoteTrace, encodeRemoteTrace } from "../../../../lib/wire/remote_trace.ts";
import { decodeRendezvous, encodeRendezvous } from "../../../../lib/wire/rendezvous.ts";
import { decodeUserMessage, encodeUserMessage } from "../../../../lib/wire/user_message.ts";
import {
  decodeOkWhois,
  decodeWhois,
  encodeOkWhois,
  encodeWhois,
} from "../../../../lib/wire/whois.ts";

/**
 * Decodes, encodes again into the writer.
 * @throws {WireError} when the decoder does, or when it says that it could not read all
 */
type RoundTrip = (payload: Uint8Array, w: Writer) => void;

function whole<T extends { complete: boolean }>(read: T): T {
  if (!read.complete) throw new WireError("round trip", "incomplete");
  return read;
}

function some<T>(value: T | undefined): T {
  if (value === undefined) throw new WireError("round trip", "nothing to act on");
  return value;
}

const ROUND_TRIPS: Record<number, RoundTrip> = {
  [Verb.NOP]: (payload, w) => void w.raw(payload),
  [Verb.HELLO]: (payload, w) => {
    const hello = decodeHello(payload);
    const moons = decodeHelloTail(payload.subarray(hello.tailAt ?? payload.length));
    encodeHello(hello, moons, w);
  },
  [Verb.ERROR]: (payload, w) => {
    const error = decodeError(payload);
    const body = new Writer();
    if (error.code === 8) encodeUnwantedMulticast(decodeUnwantedMulticast(error.body), body);
    else if (error.code === 9) {
      encodeAuthenticationRequired(decodeAuthenticationRequired(error.body), body);
    } else if ([3, 5, 6, 7].includes(error.code)) {
      encodeErrorNetwork(decodeErrorNetwork(error.body), body);
    }
    encodeError({ ...error, body: body.finish() }, w);
  },
  [Verb.OK]: (payload, w) => {
    const ok = decodeOk(payload);
    encodeInRe(ok, w);
    OK_ROUND_TRIPS[ok.inReVerb](ok.body, w);
  },
  [Verb.WHOIS]: (payload, w) => encodeWhois(decodeWhois(payload), w),
  [Verb.RENDEZVOUS]: (payload, w) => encodeRendezvous(some(decodeRendezvous(payload)), w),
  [Verb.FRAME]: (payload, w) => encodeFrame(decodeFrame(payload), w),
  [Verb.EXT_FRAME]: (payload, w) => encodeExtFrame(decodeExtFrame(payload), w),
  [Verb.ECHO]: (payload, w) => encodeEcho(decodeEcho(payload), w),
  [Verb.MULTICAST_LIKE]: (payload, w) =>
    encodeMulticastLike(whole(decodeMulticastLike(payload)).items, w),
  [Verb.NETWORK_CREDENTIALS]: (payload, w) =>
    encodeNetworkCredentials(whole(decodeNetworkCredentials(payload)), w),
  [Verb.NETWORK_CONFIG_REQUEST]: (payload, w) =>
    encodeNetworkConfigRequest(decodeNetworkConfigRequest(payload), w),
  [Verb.NETWORK_CONFIG]: chunk,
  [Verb.MULTICAST_GATHER]: (payload, w) => encodeMulticastGather(decodeMulticastGather(payload), w),
  [Verb.MULTICAST_FRAME]: (payload, w) => encodeMulticastFrame(decodeMulticastFrame(payload), w),
  [Verb.PUSH_DIRECT_PATHS]: (payload, w) =>
    encodePushDirectPaths(whole(decodePushDirectPaths(payload)).items, w),
  [Verb.ACK]: (payload, w) => encodeAck(decodeAck(payload), w),
  [Verb.QOS_MEASUREMENT]: (payload, w) =>
    encodeQosMeasurement(some(decodeQosMeasurement(payload)), w),
  [Verb.USER_MESSAGE]: (payload, w) => encodeUserMessage(some(decodeUserMessage(payload)), w),
  [Verb.REMOTE_TRACE]: (payload, w) => encodeRemoteTrace(decodeRemoteTrace(payload), w),
  [Verb.PATH_NEGOTIATION_REQUEST]: (payload, w) =>
    encodePathNegotiation(some(decodePathNegotiation(payload)), w),
};

const OK_ROUND_TRIPS: Record<number, RoundTrip> = {
  [Verb.HELLO]: (body, w) => {
    const ok = decodeOkHello(body);
    const worlds = new Writer();
    encodeWorlds(decodeWorlds(ok.worlds), worlds);
    encodeOkHello({ ...ok, worlds: worlds.finish() }, w);
  },
  [Verb.WHOIS]: (body, w) => encodeOkWhois(whole(decodeOkWhois(body)).items, w),
  [Verb.EXT_FRAME]: (body, w) => encodeOkExtFrame(decodeOkExtFrame(body), w),
  [Verb.ECHO]: (body, w) => encodeEcho(decodeEcho(body), w),
  [Verb.NETWORK_CONFIG_REQUEST]: chunk,
  [Verb.NETWORK_CONFIG]: (body, w) => encodeOkNetworkConfig(decodeOkNetworkConfig(body), w),
  [Verb.MULTICAST_GATHER]: (body, w) => encodeOkMulticastGather(decodeOkMulticastGather(body), w),
  [Verb.MULTICAST_FRAME]: (body, w) => encodeOkMulticastFrame(decodeOkMulticastFrame(body), w),
};

function chunk(bytes: Uint8Array, w: Writer): void {
  const read = decodeNetworkConfig(bytes);
  if (read.kind === "legacy") throw new WireError("round trip", "the unsigned form");
  encodeNetworkConfig(read, some(read.signature), w);
}

/** @throws {WireError} when the payload cannot be read, or not whole */
export function roundTrip(verb: number, payload: Uint8Array): Uint8Array {
  const w = new Writer();
  ROUND_TRIPS[verb](payload, w);
  return w.finish();
}

/** Verbs that are not in the captures, as payloads made by hand from the tables of the specification. */
export const HAND_MADE: { label: string; verb: number; payload: Uint8Array }[] = [
  { label: "ACK", verb: Verb.ACK, payload: fromHex("00012345") },
  {
    label: "ERROR identity collision",
    verb: Verb.ERROR,
    payload: fromHex("01" + "0102030405060708" + "04"),
  },
  {
    label: "ERROR unsupported operation",
    verb: Verb.ERROR,
    payload: fromHex("0b" + "0102030405060708" + "05" + "bcb05c4810abcdef"),
  },
  {
    label: "ERROR unwanted multicast",
    verb: Verb.ERROR,
    payload: fromHex(
      "0e" + "0102030405060708" + "08" + "bcb05c4810abcdef" + "333300000001" + "00000000",
    ),
  },
  {
    label: "ERROR authentication required",
    verb: Verb.ERROR,
    payload: fromHex("0b" + "0102030405060708" + "09" + "bcb05c4810abcdef" + "0004" + "61563d30"),
  },
  {
    label: "ERROR authentication required, without details",
    verb: Verb.ERROR,
    payload: fromHex("0b" + "0102030405060708" + "09" + "bcb05c4810abcdef"),
  },
  {
    label: "OK(NETWORK_CONFIG)",
    verb: Verb.OK,
    payload: fromHex("0c" + "0102030405060708" + "bcb05c4810abcdef" + "5ef7e04e53164300"),
  },
  {
    label: "MULTICAST_FRAME to a replicator",
    verb: Verb.MULTICAST_FRAME,
    payload: fromHex(
      "bcb05c4810abcdef" + "0c" + "020000000099" + "ffffffffffff" + "00000000" + "0800" + "4500",
    ),
  },
  {
    label: "RENDEZVOUS over IPv6",
    verb: Verb.RENDEZVOUS,
    payload: fromHex("00" + "db0b67d210" + "2709" + "10" + "20010db8000000000000000000000001"),
  },
  {
    label: "PUSH_DIRECT_PATHS over IPv6, redirecting",
    verb: Verb.PUSH_DIRECT_PATHS,
    payload: fromHex(
      "0001" + "02" + "0000" + "06" + "12" + "20010db8000000000000000000000001" + "2709",
    ),
  },
  {
    label: "PUSH_DIRECT_PATHS with a note",
    verb: Verb.PUSH_DIRECT_PATHS,
    payload: fromHex("0001" + "00" + "0003" + "7a7402" + "04" + "06" + "0a000001" + "2709"),
  },
];
