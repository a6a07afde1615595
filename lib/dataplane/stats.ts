/**
 * The page of numbers the data Worker writes and everybody may read: shared memory, one float64 each, so that a count
 * neither wraps nor tears on a 64-bit machine. It never waits and is never reset while the Worker lives.
 * @module
 */

/** What is counted, by index into the page. */
export const Stat = {
  /** Turns of the Worker's loop: stands still only when the Worker is stuck or dead. */
  TURNS: 0,
  DATAGRAMS_IN: 1,
  DATAGRAMS_OUT: 2,
  FRAMES_IN: 3,
  FRAMES_OUT: 4,
  BYTES_IN: 5,
  BYTES_OUT: 6,
  /** Nobody sends packets this short or this long. */
  DROPPED_LENGTH: 7,
  /** Control did not keep up. */
  DROPPED_RING_FULL: 8,
  /** The system did not take a datagram: no route, queue full. */
  DROPPED_SEND: 9,
  /** The system did not take a frame: port down, queue full. */
  DROPPED_WRITE: 10,
  /** Control named a socket or port that has been removed meanwhile. */
  DROPPED_GONE: 11,
  /** The network's rules forbid it. */
  DROPPED_RULES: 12,
  /** Not sealed with the key of whom it claims to be from. */
  DROPPED_UNAUTHENTIC: 13,
  /** Packets sealed here: others are control's. */
  PACKETS_SEALED: 14,
  /** Packets opened here: others are control's. */
  PACKETS_OPENED: 15,
  /** Datagrams of others passed on here: more are control's. */
  RELAYED: 16,
  /** A source that has us relay sent more than its share. */
  DROPPED_RATE: 17,
  /** Came once more: by another path of a bond, or replayed. */
  DROPPED_DUPLICATE: 18,
  /** Of the packets sealed here, and of those opened, those under AES-GMAC-SIV; the others are under Salsa20/12. */
  AES_SEALED: 19,
  AES_OPENED: 20,
} as const;
export type Stat = typeof Stat[keyof typeof Stat];

const STAT_COUNT = 21;

/** Shared memory for a page of statistics. */
export function statsMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(STAT_COUNT * 8);
}
