/**
 * The session table: whom packets can be opened from and sealed for here. It lies in the arena,
 * where the kernel reads it; JavaScript writes it. Nothing here allocates once made.
 * @module
 */
import type { Address } from "../base/ids.ts";
import {
  Session,
  SESSION_BYTES,
  SESSION_OPENS,
  SESSION_OPENS_AES,
  sessionHash,
} from "../kernel/data_kernel.ts";
import { INDEX_AT, INDEX_SIZE, SESSIONS_AT } from "./arena.ts";

const AT_ADDRESS_LOW = Session.ADDRESS;
const AT_ADDRESS_HIGH = Session.ADDRESS + 4;

export class Sessions {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #index: Uint32Array;

  /** @param memory The arena */
  constructor(memory: ArrayBufferLike) {
    this.#view = new DataView(memory);
    this.#bytes = new Uint8Array(memory);
    this.#index = new Uint32Array(memory, INDEX_AT, INDEX_SIZE);
  }

  /** Where a session's entry is in the arena. */
  static at(slot: number): number {
    return SESSIONS_AT + slot * SESSION_BYTES;
  }

  /**
   * @param key Salsa20, 32 bytes
   * @param aesFrom Length from which on packets to it are sealed with AES-GMAC-SIV; 0 when there are no keys for that
   */
  set(slot: number, address: Address, key: Uint8Array, aesFrom = 0): void {
    this.remove(slot);
    const at = Sessions.at(slot);
    this.#bytes.fill(0, at, at + SESSION_BYTES);
    const low = address % 0x1_0000_0000;
    const high = Math.floor(address / 0x1_0000_0000);
    this.#view.setUint32(at + AT_ADDRESS_LOW, low, true);
    this.#view.setUint32(at + AT_ADDRESS_HIGH, high, true);
    this.#bytes.set(key, at + Session.KEY);
    const flags = aesFrom > 0 ? SESSION_OPENS | SESSION_OPENS_AES : SESSION_OPENS;
    this.#view.setUint32(at + Session.FLAGS, flags, true);
    this.#view.setUint32(at + Session.AES_FROM, aesFrom, true);
    this.#enter(high, low, slot);
  }

  #enter(high: number, low: number, slot: number): void {
    let i = sessionHash(high, low, INDEX_SIZE - 1);
    while (this.#index[i] !== 0) i = (i + 1) & (INDEX_SIZE - 1);
    this.#index[i] = slot + 1;
  }

  remove(slot: number): void {
    const at = Sessions.at(slot);
    const low = this.#view.getUint32(at + AT_ADDRESS_LOW, true);
    const high = this.#view.getUint32(at + AT_ADDRESS_HIGH, true);
    if (low === 0 && high === 0) return;
    this.#bytes.fill(0, at, at + SESSION_BYTES);
    this.#leave(high, low, slot);
  }

  /** Takes a slot out of the index, moving later entries of its run up so that no probe ends too early. */
  #leave(high: number, low: number, slot: number): void {
    const mask = INDEX_SIZE - 1;
    let hole = sessionHash(high, low, mask);
    while (this.#index[hole] !== slot + 1) {
      if (this.#index[hole] === 0) return;
      hole = (hole + 1) & mask;
    }
    for (let i = (hole + 1) & mask; this.#index[i] !== 0; i = (i + 1) & mask) {
      const home = this.#homeOf(this.#index[i] - 1);
      const distance = (i - home) & mask;
      if (distance < ((i - hole) & mask)) continue; // it would move before its home
      this.#index[hole] = this.#index[i];
      hole = i;
    }
    this.#index[hole] = 0;
  }

  #homeOf(slot: number): number {
    const at = Sessions.at(slot);
    const low = this.#view.getUint32(at + AT_ADDRESS_LOW, true);
    return sessionHash(this.#view.getUint32(at + AT_ADDRESS_HIGH, true), low, INDEX_SIZE - 1);
  }

  /** @returns the slot of an address, or -1 */
  find(high: number, low: number): number {
    const mask = INDEX_SIZE - 1;
    for (let i = sessionHash(high, low, mask); this.#index[i] !== 0; i = (i + 1) & mask) {
      const at = Sessions.at(this.#index[i] - 1);
      const same = this.#view.getUint32(at + AT_ADDRESS_LOW, true) === low &&
        this.#view.getUint32(at + AT_ADDRESS_HIGH, true) === high;
      if (same) return this.#index[i] - 1;
    }
    return -1;
  }

  /** Packets opened since the session was set. */
  packets(slot: number): number {
    return this.#view.getUint32(Sessions.at(slot) + Session.OPENED, true);
  }

  bytes(slot: number): number {
    return this.#view.getFloat64(Sessions.at(slot) + Session.BYTES, true);
  }

  /** Tick of the last frame that came straight from the peer; 0 for never. */
  directTick(slot: number): number {
    return this.#view.getUint32(Sessions.at(slot) + Session.DIRECT_TICK, true);
  }

  /** Tick of the last frame that came through a relay; 0 for never. */
  relayedTick(slot: number): number {
    return this.#view.getUint32(Sessions.at(slot) + Session.RELAYED_TICK, true);
  }

  /** Tag of the path the last direct frame came by. */
  directTag(slot: number): number {
    return this.#view.getInt32(Sessions.at(slot) + Session.DIRECT_PATH, true);
  }

  /** Tag of the path the last relayed frame came by. */
  relayedTag(slot: number): number {
    return this.#view.getInt32(Sessions.at(slot) + Session.RELAYED_PATH, true);
  }
}
