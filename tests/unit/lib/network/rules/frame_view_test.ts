import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import type { Mac } from "../../../../../lib/base/ids.ts";
import { Claim, FrameView } from "../../../../../lib/network/rules/frame_view.ts";
import {
  claimedSource,
  type Frame,
  icmp,
  port,
  tcpBits,
  transport,
  typeOfService,
} from "../../../../../lib/network/rules/headers.ts";
import { anyFrame } from "./generators.ts";

const GARBAGE_LENGTH = 90; // before and after the frame, to notice reads outside of it

function load(frame: Frame): FrameView {
  const view = new FrameView();
  const buffer = new Uint8Array(frame.payload.length + 2 * GARBAGE_LENGTH).fill(0xff);
  buffer.set(frame.payload, GARBAGE_LENGTH);
  view.load(buffer, GARBAGE_LENGTH, frame.payload.length, frame.etherType);
  view.readHeaders();
  return view;
}

function portOr(frame: Frame, which: "source" | "destination"): number {
  const found = port(frame, which);
  return typeof found === "number" ? found : -1;
}

Deno.test("FrameView reads what headers.ts reads", () => {
  const property = fc.property(anyFrame, (frame) => {
    const view = load(frame);
    const control = icmp(frame);
    deepEqual({
      protocol: view.protocol,
      sourcePort: view.sourcePort,
      destinationPort: view.destinationPort,
      icmpType: view.icmpType,
      icmpCode: view.icmpType < 0 ? 0 : view.icmpCode,
      typeOfService: view.typeOfService,
      tcpBits: view.tcpBits,
    }, {
      protocol: transport(frame)?.header ?? -1,
      sourcePort: portOr(frame, "source"),
      destinationPort: portOr(frame, "destination"),
      icmpType: control?.icmpType ?? -1,
      icmpCode: control?.icmpCode ?? 0,
      typeOfService: typeOfService(frame) ?? -1,
      tcpBits: tcpBits(frame),
    });
  });
  fc.assert(property, { numRuns: 5_000, seed: 3 });
});

Deno.test("FrameView.claim() finds the address headers.ts finds", () => {
  const property = fc.property(anyFrame, (frame) => {
    const view = load(frame);
    const expected = claimedSource(frame);
    const claim = view.claim();
    if (expected === undefined) equal(claim, Claim.NOTHING);
    else if (expected === "any") equal(claim, Claim.ANYTHING);
    else {
      equal(claim, expected.length === 4 ? Claim.IPV4 : Claim.IPV6);
      const { claimedAt } = view;
      deepEqual(view.bytes.slice(claimedAt, claimedAt + expected.length), expected.slice());
    }
  });
  fc.assert(property, { numRuns: 5_000, seed: 4 });
});

Deno.test("FrameView reads MACs from bytes as from numbers", () => {
  const [byBytes, byNumber] = [new FrameView(), new FrameView()];
  byBytes.loadMacs(
    Uint8Array.of(0, 0x02, 0x58, 0x91, 0x16, 0x92, 0x3f, 255, 254, 253, 252, 251, 250),
    1,
    7,
  );
  byNumber.setMacs(0x0258_9116_923f as Mac, 0xfffe_fdfc_fbfa as Mac);
  for (
    const field of [
      "macSourceHigh",
      "macSourceLow",
      "macDestinationHigh",
      "macDestinationLow",
    ] as const
  ) {
    equal(byBytes[field], byNumber[field]);
  }
});
