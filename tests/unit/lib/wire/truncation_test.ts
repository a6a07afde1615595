import assert from "node:assert/strict";
import { fromHex, toHex } from "../../../../lib/base/bytes.ts";
import { WireError } from "../../../../lib/base/errors.ts";
import { Verb, verbName, verbOf } from "../../../../lib/wire/packet.ts";
import { packetVectors, payloadOf } from "../../../vectors/packets.ts";
import { HAND_MADE, roundTrip } from "./round_trips.ts";

/**
 * Lengths at which a cut payload is legal, each as its codec's table documents.
 */
function isLenient(verb: number, payload: Uint8Array, cut: number): boolean {
  switch (verb) {
    case Verb.NOP:
    case Verb.ECHO: // any bytes
    case Verb.WHOIS: // a rest of an address is ignored
    case Verb.REMOTE_TRACE: // an unterminated rest is ignored
      return true;
    case Verb.HELLO:
      return isLenientHello(payload, cut);
    case Verb.OK:
      return isLenientOk(payload, cut);
    case Verb.ERROR:
      return payload[9] === 9 && cut >= 18; // details that do not fit count as none
    case Verb.FRAME:
      return cut >= 10; // the rest is the frame
    case Verb.EXT_FRAME:
      return cut >= 23;
    case Verb.MULTICAST_FRAME:
      return cut >= multicastHeader(payload);
    case Verb.MULTICAST_LIKE:
      return cut % 18 === 0;
    case Verb.NETWORK_CREDENTIALS: // after the certificates of membership, with or without the terminator
      return cut === 0 || payload[cut - 1] === 0 && cut === comsEnd(payload) + 1 ||
        cut === comsEnd(payload);
    case Verb.NETWORK_CONFIG_REQUEST: {
      const metadataEnd = 10 + (payload[8] << 8 | payload[9]);
      return cut === 8 || cut >= metadataEnd; // what the receiver does not need may be missing
    }
    case Verb.MULTICAST_GATHER:
      return cut >= 23; // a malformed certificate counts as none
    case Verb.QOS_MEASUREMENT:
      return cut >= 9;
    case Verb.USER_MESSAGE:
      return cut >= 8;
    default:
      return false;
  }
}

function comsEnd(payload: Uint8Array): number {
  let at = 0;
  while (payload[at] === 1) at += 8 + 24 * (payload[at + 1] << 8 | payload[at + 2]) + 96;
  return at;
}

function isLenientHello(payload: Uint8Array, cut: number): boolean {
  const addressLength = { 0: 1, 4: 7, 6: 19 }[payload[84]]!;
  const addressEnd = 84 + addressLength;
  const tailAt = addressEnd + 16;
  return cut === 84 || (cut >= addressEnd && cut < tailAt + 2);
}

function isLenientOk(payload: Uint8Array, cut: number): boolean {
  if (cut < 9) return false;
  switch (payload[0]) {
    case Verb.ECHO:
      return true;
    case Verb.HELLO: {
      const addressEnd = 22 + { 0: 1, 4: 7, 6: 19 }[payload[22]]!;
      return cut === 22 || cut === addressEnd || cut === addressEnd + 1;
    }
    case Verb.WHOIS:
      return (cut - 9) % 71 === 0;
    default:
      return false;
  }
}

const MULTICAST_OPTIONAL = [0x02, 0x04];

/** Bytes before the frame of a MULTICAST_FRAME. */
function multicastHeader(payload: Uint8Array): number {
  const sizes = [4, 6];
  return 21 +
    MULTICAST_OPTIONAL.reduce((sum, flag, i) => sum + (payload[8] & flag ? sizes[i] : 0), 0);
}

Deno.test("every truncation of every payload is refused, incomplete, or documented as legal", () => {
  const samples = packetVectors.packets.map((v) => ({
    label: v.label,
    verb: verbOf(fromHex(v.plaintext)),
    payload: payloadOf(v),
  }));
  let refused = 0;
  for (const { label, verb, payload } of [...samples, ...HAND_MADE]) {
    for (let cut = 0; cut < payload.length; cut++) {
      const where = `${label} (${verbName(verb)}) cut at ${cut} of ${payload.length}`;
      const lenient = isLenient(verb, payload, cut);
      try {
        const again = roundTrip(verb, payload.slice(0, cut));
        assert.ok(lenient, `${where} was accepted as ${toHex(again).slice(0, 80)}`);
      } catch (error) {
        assert.ok(error instanceof WireError, `${where}: ${error}`);
        assert.ok(!lenient, `${where} was refused: ${error.message}`);
        refused++;
      }
    }
  }
  assert.ok(refused > 10_000);
});
