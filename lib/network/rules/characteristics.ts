/**
 * Names of the bits MATCH_CHARACTERISTICS looks at. Source: spec 04b section 2.4.
 * @module
 */

/** Bit numbers by name; the bits between have no meaning. */
export const CHARACTERISTICS: ReadonlyMap<string, number> = new Map([
  ["inbound", 63],
  ["multicast", 62],
  ["broadcast", 61],
  ["ipauth", 60],
  ["macauth", 59],
  ["tcp_fin", 0],
  ["tcp_syn", 1],
  ["tcp_rst", 2],
  ["tcp_psh", 3],
  ["tcp_ack", 4],
  ["tcp_urg", 5],
  ["tcp_ece", 6],
  ["tcp_cwr", 7],
  ["tcp_ns", 8],
  ["tcp_rs2", 9],
  ["tcp_rs1", 10],
  ["tcp_rs0", 11],
]);

/** The names of the bits set, e.g. "ipauth, tcp_syn"; "none" when there are none. */
export function describeCharacteristics(bits: bigint): string {
  const names = [...CHARACTERISTICS].filter(([, bit]) => (bits >> BigInt(bit)) & 1n);
  return names.length === 0 ? "none" : names.map(([name]) => name).join(", ");
}
