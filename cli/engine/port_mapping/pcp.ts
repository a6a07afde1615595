/**
 * PCP, the successor of NAT-PMP: mappings on IPv4, and openings in the firewall ("pinholes") on IPv6.
 *
 *     MAP request  offset  bytes  field               answer  offset  bytes  field
 *                  0       1      version, 2                  0       1      version, 2
 *                  1       1      operation, 1                1       1      129
 *                  2       2      0                           2       1      0
 *                                                             3       1      result, 0 is success
 *                  4       4      lifetime wished, s          4       4      lifetime, s; of the error otherwise
 *                  8       16     our address                 8       4      seconds since the router started
 *                                                             12      12     0
 *                  24      12     nonce                       24      12     nonce
 *                  36      1      protocol, 17                36      1      protocol, 17
 *                  37      3      0                           37      3      0
 *                  40      2      internal port               40      2      internal port
 *                  42      2      external port wished        42      2      external port
 *                  44      16     external address wished     44      16     external address
 *
 * IPv4 addresses are IPv4-mapped IPv6. Options would follow; we send none and ignore those that
 * come. A router that only speaks NAT-PMP answers with version 0. Lifetime 0 removes a mapping.
 * Source: RFC 6887 sections 7, 11 and 12.
 * @module
 */
import { equal, Reader, Writer } from "../../../lib/base/bytes.ts";
import type { Endpoint, Ip } from "../../../lib/base/ip.ts";
import type { Random } from "../../../lib/crypto/primitives.ts";
import {
  LIFETIME_S,
  type MappingClient,
  type MappingOutcome,
  type MappingWish,
  TRY_MS,
  UNMAP_TRY_MS,
} from "./mapping.ts";
import { GATEWAY_PORT } from "./nat_pmp.ts";
import { ask, type Wire } from "./wire.ts";

const VERSION = 2;
const NAT_PMP_VERSION = 0;
const MAP = 1;
const ANSWER = 128;
const UDP = 17;
const HEAD_LENGTH = 24;
const MAP_LENGTH = 60;
const NONCE_LENGTH = 12;
const ANSWER_LENGTH_MAX = 1_100; // RFC 6887 section 7
const MAPPED_PREFIX = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);
const RESULTS = [
  "success",
  "it does not speak PCP version 2",
  "not authorized",
  "it calls our request malformed",
  "it does not map ports",
  "it does not know an option",
  "it calls an option malformed",
  "it has no connection itself",
  "it is out of resources",
  "it does not map UDP",
  "our quota is used up",
  "it cannot give the port and address wished",
  "it sees us at another address: there is another NAT between us",
  "too many peers",
];

/** A MAP request. */
export interface PcpMapRequest {
  readonly local: Ip;
  /** 12 random bytes that name the mapping: it is prolonged and removed by the same. */
  readonly nonce: Uint8Array;
  readonly internalPort: number;
  /** What we had, or would like; an address of all zero leaves the choice. */
  readonly wished: Endpoint;
  readonly lifetimeS: number;
}

/** What a router answered. */
export type PcpAnswer =
  | { readonly kind: "refused"; readonly result: number; readonly nonce: Uint8Array | undefined }
  | {
    readonly kind: "mapping";
    readonly nonce: Uint8Array;
    readonly internalPort: number;
    readonly external: Endpoint;
    readonly lifetimeS: number;
  };

export function encodePcpMap(request: PcpMapRequest): Uint8Array {
  const w = new Writer(MAP_LENGTH);
  w.u8(VERSION).u8(MAP).u16(0).u32(request.lifetimeS).raw(to16(request.local));
  w.raw(request.nonce).u8(UDP).u8(0).u16(0).u16(request.internalPort);
  w.u16(request.wished.port).raw(to16(request.wished.ip));
  return w.finish();
}

/** @returns undefined when the bytes are no answer to a MAP request */
export function decodePcp(bytes: Uint8Array): PcpAnswer | undefined {
  if (bytes.length < 4 || bytes.length > ANSWER_LENGTH_MAX || (bytes[1] & ANSWER) === 0) {
    return undefined;
  }
  // What only speaks NAT-PMP says so in its own format, whatever the operation.
  if (bytes[0] === NAT_PMP_VERSION) return { kind: "refused", result: 1, nonce: undefined };
  if (bytes[0] !== VERSION || bytes.length < HEAD_LENGTH) return undefined;
  if (bytes[1] !== ANSWER + MAP) return undefined;
  const r = new Reader(bytes, "PCP", 3);
  const result = r.u8();
  const lifetimeS = r.u32();
  r.skip(16); // time since start, reserved
  if (bytes.length < MAP_LENGTH) {
    return result === 0 ? undefined : { kind: "refused", result, nonce: undefined };
  }
  const nonce = r.copy(NONCE_LENGTH);
  const protocol = r.u8();
  r.skip(3);
  const internalPort = r.u16();
  const port = r.u16();
  const external = { ip: from16(r.copy(16)), port };
  if (result !== 0) return { kind: "refused", result, nonce };
  if (protocol !== UDP) return undefined;
  return { kind: "mapping", nonce, internalPort, external, lifetimeS };
}

function to16(ip: Ip): Uint8Array {
  if (ip.length === 16) return ip;
  const mapped = new Uint8Array(16);
  mapped.set(MAPPED_PREFIX);
  mapped.set(ip, MAPPED_PREFIX.length);
  return mapped;
}

function from16(ip: Uint8Array): Ip {
  return equal(ip.subarray(0, 12), MAPPED_PREFIX) ? ip.slice(12) : ip;
}

/** PCP towards one router. */
export class PcpClient implements MappingClient {
  readonly protocol = "pcp";
  readonly #nonce = new Uint8Array(NONCE_LENGTH);
  #wished: Endpoint;

  constructor(
    readonly wish: MappingWish,
    random: Random,
    readonly tryMs: readonly number[] = TRY_MS,
  ) {
    random(this.#nonce);
    this.#wished = { ip: new Uint8Array(wish.local.length), port: wish.internalPort };
  }

  async map(wire: Wire, signal: AbortSignal): Promise<MappingOutcome> {
    const answer = await this.#ask(wire, LIFETIME_S, this.tryMs, signal);
    if (!answer) return { kind: "silent" };
    if (answer.kind === "refused") {
      return { kind: "refused", reason: RESULTS[answer.result] ?? `result ${answer.result}` };
    }
    const { external, lifetimeS } = answer;
    const sameFamily = external.ip.length === this.wish.local.length;
    if (!sameFamily || external.port === 0 || lifetimeS === 0) {
      return { kind: "refused", reason: "it granted nothing" };
    }
    this.#wished = external;
    return { kind: "mapped", mapping: { external, lifetimeS } };
  }

  async unmap(wire: Wire): Promise<void> {
    await this.#ask(wire, 0, UNMAP_TRY_MS);
  }

  #ask(
    wire: Wire,
    lifetimeS: number,
    tryMs: readonly number[],
    signal?: AbortSignal,
  ): Promise<PcpAnswer | undefined> {
    const { gateway, local, internalPort } = this.wish;
    const nonce = this.#nonce;
    const bytes = encodePcpMap({ local, nonce, internalPort, wished: this.#wished, lifetimeS });
    const accept = (received: Uint8Array) => {
      const answer = decodePcp(received);
      if (answer?.nonce === undefined) return answer;
      const isOurs = equal(answer.nonce, nonce) &&
        (answer.kind === "refused" || answer.internalPort === internalPort);
      return isOurs ? answer : undefined;
    };
    return ask(wire, { to: { ip: gateway, port: GATEWAY_PORT }, bytes, accept, tryMs, signal });
  }
}
