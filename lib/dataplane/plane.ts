/**
 * What happens to packets and frames between the machine and the control thread. No I/O of its own: whoever drives it
 * puts bytes into an arena and says where; what the plane does not handle itself leaves through {@linkcode Escape}.
 *
 * Here it passes on everything that could be a packet at all.
 *
 * Source: DESIGN.md section 3, STYLE.md section 5.
 * @module
 */
import { FRAGMENT_HEADER_LENGTH } from "../wire/packet.ts";
import { PACKET_ROOM } from "./records.ts";
import { Stat } from "./stats.ts";

/** An Ethernet header: two addresses and a type. */
const ETHERNET_HEADER_LENGTH = 14;

/** Where a datagram came from. One object, refilled, lent; so that no packet costs an allocation. */
export interface Source {
  /** Socket it was received on. */
  socketId: number;
  /** Holds the sender's IP at `ipAt`. */
  ip: Uint8Array;
  ipAt: number;
  /** 4 or 16 */
  ipLength: number;
  port: number;
}

/** The way out of the data plane to the control thread: a ring in production, a direct call in the simulator. */
export interface Escape {
  /** A packet or fragment as it came, still sealed. Bytes of the arena are lent. */
  sealed(at: number, length: number, source: Source): void;
  /** A frame from this machine's own network stack. Bytes of the arena are lent. */
  frame(at: number, length: number, port: number): void;
}

/** The data plane. Allocates nothing per packet. */
export class Plane {
  /** @param stats Page it counts in, indexed by {@linkcode Stat} */
  constructor(readonly escape: Escape, readonly stats: Float64Array) {}

  /** @param length Bytes of the datagram at `at` in the arena; -1 when it was too long for its slot */
  fromUdp(at: number, length: number, source: Source): void {
    this.stats[Stat.DATAGRAMS_IN]++;
    if (length < FRAGMENT_HEADER_LENGTH || length > PACKET_ROOM || source.ipLength === 0) {
      this.stats[Stat.DROPPED_LENGTH]++;
      return;
    }
    this.stats[Stat.BYTES_IN] += length;
    this.escape.sealed(at, length, source);
  }

  /** @param port Which TAP the frame at `at` in the arena was read from */
  fromTap(at: number, length: number, port: number): void {
    this.stats[Stat.FRAMES_IN]++;
    if (length < ETHERNET_HEADER_LENGTH) {
      this.stats[Stat.DROPPED_LENGTH]++;
      return;
    }
    this.escape.frame(at, length, port);
  }
}
