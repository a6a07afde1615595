/**
 * A crowd of nodes as a root sees them: who they are, where they are, what they say. Node `i` is
 * the same in every process and run, so that a root that restarts finds the same crowd again.
 *
 * Their addresses do not follow from their keys: a hundred thousand proofs of work would take
 * hours. A root takes such a node only from its cache of peers, which is where the benchmark puts
 * them; what new nodes cost is measured with genuine ones. All of them have one X25519 key, so that
 * this end agrees on a key once; the root does not know, and does it for each.
 * @module
 */
import type { Address } from "../../../lib/base/ids.ts";
import type { Endpoint } from "../../../lib/base/ip.ts";
import { machinePrimitives } from "../../../cli/engine/primitives.ts";
import { Identity, PUBLIC_KEY_BYTES } from "../../../lib/identity/identity.ts";
import { destinationOf, HEADER_LENGTH, type Verb } from "../../../lib/wire/packet.ts";
import { Speaker } from "./speaker.ts";

/** Where the crowd lives: the route to it, the address that puts all of it on the loopback device, the first node. */
export const CROWD_ROUTE = "16.0.0.0/4";
export const CROWD_PREFIX = "16.0.0.1/4";
const FIRST_IP = 0x1400_0100; // 20.0.1.0
const IP_STEP = 163; // spreads 100,000 nodes over 64,000 networks of 24 bits, as roots see the world
const FIRST_ADDRESS = 0x20_0000_0001;
const ADDRESS_STEP = 7_919;
const SECRET = new Uint8Array(64).fill(0x5a); // nobody's

/** Nodes by number, whatever their identities. */
export interface People {
  readonly count: number;
  /** Own address of node `i`, see `ipNumber()`. */
  ip(i: number): number;
  hello(i: number): Uint8Array;
  sealed(i: number, verb: Verb, payload: Uint8Array): Uint8Array;
  /** The answer to an ECHO that was opened for node `i`. */
  answer(i: number, echo: Uint8Array): Uint8Array;
  /** Opens a packet in place. @returns whom it is for; -1 when it is nobody's or not authentic */
  open(packet: Uint8Array): number;
}

export class Crowd implements People {
  readonly speaker: Speaker;
  readonly #x25519 = machinePrimitives.x25519Public(SECRET.subarray(0, 32));

  constructor(readonly count: number, root: Identity, rootAt: Endpoint) {
    this.speaker = new Speaker(this.identity(0), root, rootAt);
  }

  address(i: number): Address {
    return FIRST_ADDRESS + i * ADDRESS_STEP as Address;
  }

  #indexOf(address: Address): number {
    const i = (address - FIRST_ADDRESS) / ADDRESS_STEP;
    return Number.isInteger(i) && i >= 0 && i < this.count ? i : -1;
  }

  ip(i: number): number {
    return FIRST_IP + i * IP_STEP;
  }

  identity(i: number): Identity {
    const publicKey = new Uint8Array(PUBLIC_KEY_BYTES);
    publicKey.set(this.#x25519);
    // Anything that differs: nobody checks a signature of theirs.
    for (let at = 32, x = i + 1; at < PUBLIC_KEY_BYTES; at++) {
      x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d) + at | 0;
      publicKey[at] = x >>> 8;
    }
    return new Identity({ address: this.address(i), publicKey, secretKey: SECRET });
  }

  hello(i: number): Uint8Array {
    return this.speaker.hello(this.identity(i));
  }

  sealed(i: number, verb: Verb, payload: Uint8Array): Uint8Array {
    return this.speaker.sealed(verb, payload, this.address(i));
  }

  answer(i: number, echo: Uint8Array): Uint8Array {
    return this.speaker.answer(echo, this.address(i));
  }

  open(packet: Uint8Array): number {
    const i = packet.length < HEADER_LENGTH ? -1 : this.#indexOf(destinationOf(packet));
    return i >= 0 && this.speaker.open(packet) ? i : -1;
  }
}

/** Nodes whose addresses follow from their keys. */
export class Genuine implements People {
  readonly #speakers: Speaker[];
  readonly #byAddress = new Map<Address, number>();

  /** @param firstIp Of node 0; the others follow, each in a network of 24 bits of its own */
  constructor(
    identities: readonly Identity[],
    root: Identity,
    rootAt: Endpoint,
    readonly firstIp: number,
  ) {
    this.#speakers = identities.map((mine) => new Speaker(mine, root, rootAt));
    identities.forEach(({ address }, i) => this.#byAddress.set(address, i));
  }

  get count(): number {
    return this.#speakers.length;
  }

  ip(i: number): number {
    return this.firstIp + i * 256;
  }

  hello(i: number): Uint8Array {
    return this.#speakers[i].hello();
  }

  sealed(i: number, verb: Verb, payload: Uint8Array): Uint8Array {
    return this.#speakers[i].sealed(verb, payload);
  }

  answer(i: number, echo: Uint8Array): Uint8Array {
    return this.#speakers[i].answer(echo);
  }

  open(packet: Uint8Array): number {
    if (packet.length < HEADER_LENGTH) return -1;
    const i = this.#byAddress.get(destinationOf(packet)) ?? -1;
    return i >= 0 && this.#speakers[i].open(packet) ? i : -1;
  }
}
