/**
 * HELLO (verb 0x01): who I am, which version I speak, which worlds I know; also a probe of the path.
 *
 *     offset  bytes     field
 *     0       5         versions, see `version.ts`
 *     5       8         sender's clock in ms; echoed back
 *     13      71        identity of the sender, public form
 *     84      1, 7, 19  physical address this is sent to; "nobody" when it goes by relay. May be
 *                       absent, and all after it
 *     then    8         id of the planet the sender knows; 0 when absent
 *     then    8         its timestamp
 *     then    2         tail: number of moons; absent means none
 *     then    17 each   moon: type 127 (1), id (8), timestamp (8; 0 when wanted and not had). Other types are skipped
 *
 * The tail is encrypted on its own, under the key both ends agree on, before the packet is sealed;
 * so it is decoded apart, once the packet is known to be genuine. With fewer than 16 bytes after
 * the address there is neither planet nor tail.
 *
 * OK(HELLO), after the nine bytes of `ok.ts`:
 *
 *     offset  bytes     field
 *     0       8         the clock of the HELLO
 *     8       5         versions of the responder
 *     13      1, 7, 19  where the HELLO came from, as the responder saw it; may be absent, and all after it
 *     then    2         length of world updates; may be absent
 *     then    n         worlds, one after the other
 *
 * Source: spec 02 section 10.2; reference `Packet.hpp`, `VERB_HELLO`.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";
import { decodeEndpoint, encodeEndpoint, type Endpoint } from "../base/ip.ts";
import { Identity } from "../identity/identity.ts";
import { decodeWorld, encodeWorld, type World } from "../identity/world.ts";
import { decodeVersion, encodeVersion, type Version } from "./version.ts";

const MOON_TYPE = 127;
const MOON_LENGTH = 17;
const PLANET_LENGTH = 16;
const TAIL_LENGTH_MIN = 2;

/** A world somebody knows, or wants when the timestamp is 0. */
export interface WorldStamp {
  readonly id: bigint;
  readonly timestampMs: number;
}

/** HELLO without its tail. */
export interface Hello {
  readonly version: Version;
  /** The sender's clock: opaque to us, echoed in OK. */
  readonly timestampMs: number;
  readonly identity: Identity;
  /** undefined when the sender does not know it: the packet goes by relay. */
  readonly sentTo: Endpoint | undefined;
  /** Id 0 when absent. */
  readonly planet: WorldStamp;
}

/** A HELLO as received, its tail still encrypted. */
export interface ReceivedHello extends Hello {
  /** Offset of the encrypted tail in the payload; undefined when there is none. */
  readonly tailAt: number | undefined;
}

/** @throws {WireError} when truncated or the identity or the physical address is malformed */
export function decodeHello(payload: Uint8Array): ReceivedHello {
  const r = new Reader(payload, "HELLO");
  const version = decodeVersion(r);
  const timestampMs = r.time();
  const identity = Identity.decode(r).publicOnly();
  const sentTo = r.remaining > 0 ? decodeEndpoint(r) : undefined;
  const hasPlanet = r.remaining >= PLANET_LENGTH;
  const planet = hasPlanet ? { id: r.u64(), timestampMs: r.time() } : { id: 0n, timestampMs: 0 };
  const tailAt = hasPlanet && r.remaining > 0 ? r.at : undefined;
  return { version, timestampMs, identity, sentTo, planet, tailAt };
}

/**
 * @param tail The tail, decrypted
 * @returns the moons the sender knows or wants
 * @throws {WireError} when it counts more moons than it holds
 */
export function decodeHelloTail(tail: Uint8Array): WorldStamp[] {
  if (tail.length < TAIL_LENGTH_MIN) return [];
  const r = new Reader(tail, "HELLO");
  const moons: WorldStamp[] = [];
  for (let count = r.u16(); count > 0; count--) {
    if (r.u8() === MOON_TYPE) moons.push({ id: r.u64(), timestampMs: r.time() });
    else r.skip(MOON_LENGTH - 1);
  }
  return moons;
}

/** @returns the offset, from where writing began, of the tail that has still to be encrypted */
export function encodeHello(hello: Hello, moons: readonly WorldStamp[], w: Writer): number {
  const start = w.length;
  encodeVersion(hello.version, w);
  w.time(hello.timestampMs);
  hello.identity.encode(w);
  encodeEndpoint(w, hello.sentTo);
  w.u64(hello.planet.id).time(hello.planet.timestampMs);
  const tailAt = w.length - start;
  w.u16(moons.length);
  for (const moon of moons) w.u8(MOON_TYPE).u64(moon.id).time(moon.timestampMs);
  return tailAt;
}

/** What OK(HELLO) says. */
export interface OkHello {
  /** The clock of the HELLO it answers. */
  readonly timestampMs: number;
  readonly version: Version;
  /** Where the HELLO came from, seen from the responder; a relay's address when it was relayed. */
  readonly surface: Endpoint | undefined;
  /** Worlds as sent: read them with {@linkcode decodeWorlds} only if the sender may teach us worlds. */
  readonly worlds: Uint8Array;
}

/** @throws {WireError} when truncated or the physical address is malformed */
export function decodeOkHello(body: Uint8Array): OkHello {
  const r = new Reader(body, "OK(HELLO)");
  const timestampMs = r.time();
  const version = decodeVersion(r);
  const surface = r.remaining > 0 ? decodeEndpoint(r) : undefined;
  const worlds = r.remaining >= 2 ? r.view(r.u16()) : r.view(0);
  return { timestampMs, version, surface, worlds };
}

export function encodeOkHello(ok: OkHello, w: Writer): void {
  w.time(ok.timestampMs);
  encodeVersion(ok.version, w);
  encodeEndpoint(w, ok.surface);
  w.u16(ok.worlds.length).raw(ok.worlds);
}

/**
 * Worlds that follow each other.
 * @throws {WireError} when one is malformed: as in the reference, the OK it came in is then void altogether
 */
export function decodeWorlds(worlds: Uint8Array): World[] {
  const r = new Reader(worlds, "OK(HELLO)");
  const read: World[] = [];
  while (r.remaining > 0) read.push(decodeWorld(r));
  return read;
}

export function encodeWorlds(worlds: readonly World[], w: Writer): void {
  for (const world of worlds) encodeWorld(world, w);
}
