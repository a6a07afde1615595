/**
 * AES-GMAC-SIV, which the instantiator brings: from the system's library, which has the processor's instructions for it, or from
 * the AES module over the same memory.
 */

/** Encrypts from the verb on and writes the tag over the packet id and the MAC. @param session Slot whose keys to use */
export declare function aesSeal(packet: usize, length: i32, session: u32): void;

/** @returns whether it is authentic, and then decrypted; else it is as it was */
export declare function aesOpen(packet: usize, length: i32, session: u32): bool;
