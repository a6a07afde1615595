/**
 * Salsa20, 12 or 20 rounds, with a 64-bit counter that goes on between calls: slow and obvious.
 * Packets go through the kernel.
 * @module
 */
export { Salsa20 } from "../kernel/salsa20.ts";
