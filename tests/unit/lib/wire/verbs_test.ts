import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, fromHex, toHex } from "../../../../lib/base/bytes.ts";
import { WireError } from "../../../../lib/base/errors.ts";
import { decodeAuthenticationRequired, decodeError } from "../../../../lib/wire/error.ts";
import { decodeExtFrame, FrameSubtype } from "../../../../lib/wire/ext_frame.ts";
import { decodeMulticastFrame } from "../../../../lib/wire/multicast_frame.ts";
import { decodeMulticastGather } from "../../../../lib/wire/multicast_gather.ts";
import { decodeNetworkConfigRequest } from "../../../../lib/wire/network_config_request.ts";
import { Verb } from "../../../../lib/wire/packet.ts";
import { decodePathNegotiation } from "../../../../lib/wire/path_negotiation.ts";
import { decodeRendezvous } from "../../../../lib/wire/rendezvous.ts";
import { decodeUserMessage } from "../../../../lib/wire/user_message.ts";
import { packetVectors, payloadOf } from "../../../vectors/packets.ts";
import { roundTrip } from "./round_trips.ts";

const COM = payloadOf(packetVectors.packets.find((v) => v.label === "multicast-gather")!).slice(23);

Deno.test("no decoder throws anything but WireError, whatever the bytes", () => {
  const verb = fc.constantFrom(...Object.values(Verb));
  fc.assert(
    fc.property(verb, fc.uint8Array({ maxLength: 400 }), (verb, noise) => {
      // An OK names a verb that can be answered: others have no body to read.
      if (verb === Verb.OK) noise[0] = [1, 4, 7, 8, 11, 12, 13, 14][noise[0] & 7];
      try {
        roundTrip(verb, noise);
      } catch (error) {
        assert.ok(error instanceof WireError, `${error}`);
      }
    }),
    { numRuns: 5_000, seed: 1 },
  );
});

Deno.test("what a decoder accepts, encoded, decodes to the same again", () => {
  const verb = fc.constantFrom(...Object.values(Verb).filter((verb) => verb !== Verb.OK));
  const vectors = fc.constantFrom(...packetVectors.packets);
  const mutation = fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) });
  fc.assert(
    fc.property(verb, vectors, fc.array(mutation, { maxLength: 4 }), (verb, vector, mutations) => {
      const payload = payloadOf(vector).slice();
      for (const { at, byte } of mutations) {
        if (payload.length > 0) payload[at % payload.length] = byte;
      }
      let once: Uint8Array;
      try {
        once = roundTrip(verb, payload);
      } catch (error) {
        assert.ok(error instanceof WireError, `${error}`);
        return;
      }
      assert.equal(toHex(roundTrip(verb, once)), toHex(once));
    }),
    { numRuns: 3_000, seed: 1 },
  );
});

Deno.test("decodeRendezvous() finds nobody to meet at port 0 or an IP of odd length", () => {
  assert.equal(decodeRendezvous(fromHex("00db0b67d210" + "0000" + "04" + "0a4d0003")), undefined);
  assert.equal(decodeRendezvous(fromHex("00db0b67d210" + "2709" + "05" + "0a4d000300")), undefined);
  assert.ok(decodeRendezvous(fromHex("ffdb0b67d210" + "2709" + "04" + "0a4d0003" + "abcd")));
});

Deno.test("decodeAuthenticationRequired() takes details that do not fit for none", () => {
  const details = (hex: string) =>
    toHex(decodeAuthenticationRequired(fromHex("bcb05c4810abcdef" + hex)).details);
  assert.equal(details(""), "");
  assert.equal(details("0001"), "");
  assert.equal(details("000161"), "61");
  assert.equal(details("00016162"), "61");
  assert.equal(details("000561"), "");
});

Deno.test("decodeError() takes codes nobody has assigned", () => {
  const error = decodeError(fromHex("0b" + "0102030405060708" + "fe" + "abcd"));
  assert.equal(error.code, 0xfe);
  assert.equal(toHex(error.body), "abcd");
});

Deno.test("decodeExtFrame() reads a certificate and the subtype, and ignores other flags", () => {
  const head = fromHex("bcb05c4810abcdef");
  const rest = fromHex("eee537709f05" + "020000000099" + "0800" + "4500");
  const frame = decodeExtFrame(concat(head, Uint8Array.of(0xf7), COM, rest));
  assert.equal(frame.subtype, FrameSubtype.WATCH_OUT);
  assert.ok(frame.acknowledge);
  assert.equal(frame.com?.qualifiers.length, 7);
  assert.equal(toHex(frame.frame), "4500");
  assert.throws(() => decodeExtFrame(concat(head, Uint8Array.of(0x01), rest)), WireError);
});

Deno.test("decodeMulticastFrame() reads every optional field", () => {
  const bytes = concat(
    fromHex("bcb05c4810abcdef" + "0f"),
    COM,
    fromHex("00000021" + "020000000099" + "ffffffffffff" + "0a58000a" + "0806" + "0001"),
  );
  const frame = decodeMulticastFrame(bytes);
  assert.ok(frame.com && frame.replicate);
  assert.equal(frame.gatherLimit, 33);
  assert.equal(frame.source, 0x020000000099);
  assert.equal(frame.group.adi, 0x0a58000a);
  assert.equal(toHex(roundTrip(Verb.MULTICAST_FRAME, bytes)), toHex(bytes));
});

Deno.test("decodeMulticastGather() takes a malformed certificate for none", () => {
  const gather = fromHex("bcb05c4810abcdef" + "01" + "333300000016" + "00000000" + "00000021");
  assert.equal(decodeMulticastGather(gather).com, undefined);
  assert.equal(decodeMulticastGather(concat(gather, COM.subarray(1))).com, undefined);
  assert.ok(decodeMulticastGather(concat(gather, COM)).com);
});

Deno.test("decodeNetworkConfigRequest() needs the network id only", () => {
  const request = decodeNetworkConfigRequest(fromHex("bcb05c4810abcdef"));
  assert.equal(request.metadata.length, 0);
  assert.equal(request.haveRevision, 0n);
  assert.throws(() => decodeNetworkConfigRequest(fromHex("bcb05c4810abcdef00")), WireError);
  assert.throws(() => decodeNetworkConfigRequest(fromHex("bcb05c4810abcdef000261")), WireError);
});

Deno.test("decodeUserMessage() and decodePathNegotiation() ignore payloads of other lengths", () => {
  assert.equal(decodeUserMessage(new Uint8Array(7)), undefined);
  assert.equal(decodeUserMessage(new Uint8Array(8))?.message.length, 0);
  assert.equal(decodePathNegotiation(fromHex("8000")), -32_768);
  assert.equal(decodePathNegotiation(fromHex("00")), undefined);
  assert.equal(decodePathNegotiation(fromHex("000000")), undefined);
});
