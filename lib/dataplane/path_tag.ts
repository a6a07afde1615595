/**
 * Names one path, socket and remote endpoint, in 32 bits: what the data plane stamps sessions with
 * instead of addresses. Two paths of one peer with equal tags would be taken for each other; for
 * keepalive only, never for sending.
 * @module
 */
const PRIME = 0x0100_0193; // FNV-1a, 32 bits
const START = 0x811c_9dc5 | 0;

/** Allocates nothing; signed, since V8 keeps small integers out of the heap. */
export function pathTag(
  socket: number,
  ip: Uint8Array,
  ipAt: number,
  ipLength: number,
  port: number,
): number {
  let tag = Math.imul(START ^ socket, PRIME);
  for (let i = 0; i < ipLength; i++) tag = Math.imul(tag ^ ip[ipAt + i], PRIME);
  tag = Math.imul(tag ^ (port & 0xff), PRIME);
  tag = Math.imul(tag ^ (port >> 8), PRIME);
  return tag;
}
