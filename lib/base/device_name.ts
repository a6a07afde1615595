/**
 * The name of the network interface a joined network gets.
 *
 * Source: spec 04 section 1.4.
 * @module
 */
import type { NetworkId } from "./ids.ts";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const LETTERS = 8n; // 40 bits, five each

/**
 * "zt" and eight letters that follow from the network id.
 * @param trial Counts up from 0 while an interface of that name exists
 */
export function deviceName(id: NetworkId, trial: number): string {
  const value = (id ^ (id >> 24n)) + BigInt(trial);
  let name = "zt";
  for (let shift = 5n * (LETTERS - 1n); shift >= 0n; shift -= 5n) {
    name += ALPHABET[Number((value >> shift) & 31n)];
  }
  return name;
}
