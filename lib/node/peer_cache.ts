/**
 * A peer as `peers.d` keeps it between runs: who it is, what it speaks, where it was.
 *
 *     bytes  field
 *     1      2
 *     71     identity, public form
 *     2 x 4  protocol, major, minor, revision
 *     2      number of addresses
 *     ...    addresses
 *
 * Source: spec 03 section 25.
 * @module
 */
import { Reader, Writer } from "../base/bytes.ts";
import { decodeEndpoint, encodeEndpoint, type Endpoint } from "../base/ip.ts";
import { Identity } from "../identity/identity.ts";
import type { Version } from "../wire/version.ts";

/** What is known of a peer not met in this run. Its addresses are tried, not trusted. */
export interface CachedPeer {
  readonly identity: Identity;
  readonly version: Version;
  readonly endpoints: readonly Endpoint[];
}

const CACHED_PEER_VERSION = 2;
const CACHED_ENDPOINTS_MAX = 64;

export function encodeCachedPeer(peer: CachedPeer): Uint8Array {
  const { protocol, major, minor, revision } = peer.version;
  const w = new Writer();
  w.u8(CACHED_PEER_VERSION);
  peer.identity.encode(w);
  w.u16(protocol).u16(major).u16(minor).u16(revision).u16(peer.endpoints.length);
  for (const endpoint of peer.endpoints) encodeEndpoint(w, endpoint);
  return w.finish();
}

/**
 * @returns undefined when the file is of another version
 * @throws {WireError} when it is torn
 */
export function decodeCachedPeer(bytes: Uint8Array): CachedPeer | undefined {
  const r = new Reader(bytes, "peer cache");
  if (r.u8() !== CACHED_PEER_VERSION) return undefined;
  const identity = Identity.decode(r);
  const version = { protocol: r.u16(), major: r.u16(), minor: r.u16(), revision: r.u16() };
  const endpoints: Endpoint[] = [];
  for (let count = Math.min(r.u16(), CACHED_ENDPOINTS_MAX); count > 0; count--) {
    const endpoint = decodeEndpoint(r);
    if (endpoint) endpoints.push(endpoint);
  }
  return { identity, version, endpoints };
}
