/**
 * NAT-PMP: asking a home router to pass a UDP port on to us.
 *
 *     request    offset  bytes  field                     answer   offset  bytes  field
 *     address    0       1      version, 0                address  0       1      version, 0
 *                1       1      operation, 0                       1       1      128
 *                                                                  2       2      result, 0 is success
 *                                                                  4       4      seconds since the router started
 *                                                                  8       4      its public IPv4 address
 *     mapping    0       1      version, 0                mapping  0       1      version, 0
 *                1       1      operation, 1 (UDP)                 1       1      129
 *                2       2      0                                  2       2      result
 *                4       2      internal port                      4       4      seconds since the router started
 *                6       2      external port wished               8       2      internal port
 *                8       4      lifetime in seconds                10      2      external port
 *                                                                  12      4      lifetime in seconds
 *
 * A failed answer may end after the time. Lifetime 0 removes a mapping. Source: RFC 6886 section 3.
 * @module
 */
import { Reader, Writer } from "../../../lib/base/bytes.ts";
import type { Ip } from "../../../lib/base/ip.ts";
import {
  LIFETIME_S,
  type MappingClient,
  type MappingOutcome,
  type MappingWish,
  TRY_MS,
  UNMAP_TRY_MS,
} from "./mapping.ts";
import { ask, type Wire } from "./wire.ts";

/** Port routers listen on, for NAT-PMP and for PCP. */
export const GATEWAY_PORT = 5351;
const VERSION = 0;
const ANSWER = 128;
const HEAD_LENGTH = 8;
const ADDRESS_LENGTH = 12;
const MAPPING_LENGTH = 16;
const RESULTS = [
  "success",
  "it does not speak NAT-PMP version 0",
  "not authorized",
  "it has no connection itself",
  "it is out of resources",
  "it does not know this operation",
];

/** Operations, as requests carry them. */
export const NatPmpOperation = { ADDRESS: 0, MAP_UDP: 1 } as const;
export type NatPmpOperation = typeof NatPmpOperation[keyof typeof NatPmpOperation];

/** What a router answered. */
export type NatPmpAnswer =
  | { readonly kind: "refused"; readonly operation: number; readonly result: number }
  | { readonly kind: "address"; readonly ip: Ip }
  | {
    readonly kind: "mapping";
    readonly internalPort: number;
    readonly externalPort: number;
    readonly lifetimeS: number;
  };

/** Asks for the public address. */
export function encodeAddressRequest(): Uint8Array {
  return Uint8Array.of(VERSION, NatPmpOperation.ADDRESS);
}

/** Asks for a mapping; a lifetime of 0 removes it. */
export function encodeMappingRequest(
  wished: { internalPort: number; externalPort: number; lifetimeS: number },
): Uint8Array {
  const w = new Writer(12);
  w.u8(VERSION).u8(NatPmpOperation.MAP_UDP).u16(0);
  w.u16(wished.internalPort).u16(wished.externalPort).u32(wished.lifetimeS);
  return w.finish();
}

/** @returns undefined when the bytes are no NAT-PMP answer; later bytes are ignored */
export function decodeNatPmp(bytes: Uint8Array): NatPmpAnswer | undefined {
  if (bytes.length < HEAD_LENGTH || bytes[0] !== VERSION || (bytes[1] & ANSWER) === 0) {
    return undefined;
  }
  const operation = bytes[1] - ANSWER;
  const r = new Reader(bytes, "NAT-PMP", 2);
  const result = r.u16();
  if (result !== 0) return { kind: "refused", operation, result };
  r.skip(4); // seconds since it started: we ask again often enough not to need it
  if (operation === NatPmpOperation.ADDRESS && bytes.length >= ADDRESS_LENGTH) {
    return { kind: "address", ip: r.copy(4) };
  }
  if (operation === NatPmpOperation.MAP_UDP && bytes.length >= MAPPING_LENGTH) {
    const [internalPort, externalPort, lifetimeS] = [r.u16(), r.u16(), r.u32()];
    return { kind: "mapping", internalPort, externalPort, lifetimeS };
  }
  return undefined;
}

/** NAT-PMP towards one router. */
export class NatPmpClient implements MappingClient {
  readonly protocol = "nat-pmp";
  #externalPort: number;

  constructor(readonly wish: MappingWish, readonly tryMs: readonly number[] = TRY_MS) {
    this.#externalPort = wish.internalPort;
  }

  async map(wire: Wire, signal: AbortSignal): Promise<MappingOutcome> {
    const address = await this.#ask(
      wire,
      encodeAddressRequest(),
      NatPmpOperation.ADDRESS,
      this.tryMs,
      signal,
    );
    if (address?.kind !== "address") return failed(address);
    const wished = { externalPort: this.#externalPort, lifetimeS: LIFETIME_S };
    const mapping = await this.#ask(
      wire,
      encodeMappingRequest({ ...wished, internalPort: this.wish.internalPort }),
      NatPmpOperation.MAP_UDP,
      this.tryMs,
      signal,
    );
    if (mapping?.kind !== "mapping") return failed(mapping);
    const { externalPort, lifetimeS } = mapping;
    if (externalPort === 0 || lifetimeS === 0) {
      return { kind: "refused", reason: "it granted nothing" };
    }
    this.#externalPort = externalPort;
    const external = { ip: address.ip, port: externalPort };
    return { kind: "mapped", mapping: { external, lifetimeS } };
  }

  async unmap(wire: Wire): Promise<void> {
    const removal = { internalPort: this.wish.internalPort, externalPort: 0, lifetimeS: 0 };
    const bytes = encodeMappingRequest(removal);
    await this.#ask(wire, bytes, NatPmpOperation.MAP_UDP, UNMAP_TRY_MS);
  }

  #ask(
    wire: Wire,
    bytes: Uint8Array,
    operation: NatPmpOperation,
    tryMs: readonly number[],
    signal?: AbortSignal,
  ): Promise<NatPmpAnswer | undefined> {
    const accept = (answer: Uint8Array) => {
      const read = decodeNatPmp(answer);
      if (read?.kind === "refused") return read.operation === operation ? read : undefined;
      if (read?.kind === "address") {
        return operation === NatPmpOperation.ADDRESS ? read : undefined;
      }
      return read?.internalPort === this.wish.internalPort ? read : undefined;
    };
    const to = { ip: this.wish.gateway, port: GATEWAY_PORT };
    return ask(wire, { to, bytes, accept, tryMs, signal });
  }
}

function failed(answer: NatPmpAnswer | undefined): MappingOutcome {
  if (answer?.kind !== "refused") return { kind: "silent" };
  return { kind: "refused", reason: RESULTS[answer.result] ?? `result ${answer.result}` };
}
