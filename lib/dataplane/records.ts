/**
 * What the control thread and the data Worker say to each other, one record each.
 *
 *     offset  bytes   field
 *     0       1       kind
 *     1       1       length of the IP: 4, 16, or 0 where there is none
 *     2       2       UDP port; in REMOVE, REMOVED and LOST the ADD kind of what it is about; in
 *                     ADD_SOCKET, ADD_TAP and TRAFFIC flags
 *     4       4       id: of the socket, the port (TAP) or the signal
 *     8       4       descriptor, in ADD records; ticket, in REMOVE and REMOVED; packets sent, in TRAFFIC,
 *                     or passed on, in RELAYED
 *     12      16      IP, network byte order
 *     28      n       packet or frame; a table record; in IDS what `packetIdState()` makes; in
 *                     TRAFFIC socket (4) and port (2) by which the last frame came, nothing (2), frames
 *                     received (4); in RELAYED bytes (8, f64)
 *
 * Numbers are little-endian: both ends are on one machine. ADD, REMOVE, STOP, SEND and WRITE go to the Worker; the rest
 * comes from it.
 * @module
 */

export const RecordKind = {
  /** A descriptor to read: datagrams, frames, or only "it is readable". */
  ADD_SOCKET: 1,
  ADD_TAP: 2,
  ADD_SIGNAL: 3,
  /** Stop reading a descriptor and answer REMOVED, after which it may be closed. */
  REMOVE: 4,
  /** Leave the loop. */
  STOP: 5,
  /** A datagram for a socket to send. */
  SEND: 6,
  /** A frame for a TAP to deliver. */
  WRITE: 7,
  /** A change of the data plane's tables, see `table_records.ts`. */
  TABLE: 8,
  /** Other packet ids to use from now on. */
  IDS: 9,
  /** A datagram a socket received. */
  DATAGRAM: 16,
  /** A frame this machine sent into a TAP. */
  FRAME: 17,
  /** The descriptor of a signal is readable. It is watched again after another ADD_SIGNAL. */
  SIGNAL: 18,
  /** Nothing of that descriptor follows: it may be closed. */
  REMOVED: 19,
  /** A descriptor broke, e.g. its device was deleted: it is no longer read. */
  LOST: 20,
  /** A packet the data plane opened and leaves to control. */
  OPENED: 21,
  /** What the data plane did for one session (id) since its last word. */
  TRAFFIC: 22,
  /** What the data plane passed on of one flow (id) since its last word. */
  RELAYED: 24,
  /** The system does not cut super-datagrams on this socket after all. */
  UNCUT: 23,
} as const;
export type RecordKind = typeof RecordKind[keyof typeof RecordKind];

/** Flag of ADD_SOCKET: the system cuts super-datagrams. */
export const SOCKET_CUTS = 1;
/** Flags of ADD_TAP: frames have a virtio header; the system takes UDP frames joined together. */
export const TAP_HEADERS = 1;
export const TAP_JOINS_UDP = 2;
/** Flags of TRAFFIC: something came straight from the peer; or else through a relay. */
export const TRAFFIC_DIRECT = 1;
export const TRAFFIC_RELAYED = 2;
/** Bytes behind the header of TRAFFIC. */
export const TRAFFIC_LENGTH = 12;
/** Bytes behind the header of RELAYED. */
export const RELAYED_LENGTH = 8;
/** In TRAFFIC: the endpoint is not known any more. */
export const NO_SOCKET = 0xffff_ffff;

export const RECORD_HEADER_LENGTH = 28;
/** Where TRAFFIC says how many frames came in. */
export const TRAFFIC_RECEIVED_AT = RECORD_HEADER_LENGTH + 8;
export const RECORD_IP_AT = 12;

/** Most bytes a packet or frame has: an IPv6 path MTU of 10,000 with headers, rounded up. */
export const PACKET_ROOM = 10_240;

/** Writes the header of a record without endpoint. Allocates nothing. */
export function putRecord(
  view: DataView,
  at: number,
  kind: RecordKind,
  id: number,
  value = 0,
  about = 0,
): void {
  view.setUint8(at, kind);
  view.setUint8(at + 1, 0);
  view.setUint16(at + 2, about, true);
  view.setUint32(at + 4, id, true);
  view.setInt32(at + 8, value, true);
}

/**
 * Adds where a datagram comes from or goes to.
 * @param ip Holds the address at `ipAt`
 */
export function putRecordEndpoint(
  view: DataView,
  at: number,
  ip: Uint8Array,
  ipAt: number,
  ipLength: number,
  port: number,
): void {
  view.setUint8(at + 1, ipLength);
  view.setUint16(at + 2, port, true);
  for (let i = 0; i < ipLength; i++) view.setUint8(at + RECORD_IP_AT + i, ip[ipAt + i]);
}

export function recordKind(view: DataView, at: number): number {
  return view.getUint8(at);
}

export function recordIpLength(view: DataView, at: number): number {
  return view.getUint8(at + 1);
}

/** The UDP port, or the ADD kind a record is about. */
export function recordPort(view: DataView, at: number): number {
  return view.getUint16(at + 2, true);
}

export function recordId(view: DataView, at: number): number {
  return view.getUint32(at + 4, true);
}

/** The descriptor or ticket. */
export function recordValue(view: DataView, at: number): number {
  return view.getInt32(at + 8, true);
}
