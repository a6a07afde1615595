/**
 * Blocks of packet ids for everything in this process that seals packets, none of them given out
 * twice under one key: not to two threads, not to two runs, not after the home folder was put back
 * to an older state.
 *
 * A key of a pair never changes, so an id used twice gives away both packets. Blocks are numbered;
 * the file `packet-ids` in the home folder holds the first number that may still be free, written
 * before it is used. Numbers are also never below the seconds since 2024: should the file be older
 * than it ought to be (a backup was restored, a machine image was cloned), time has gone on
 * meanwhile. With neither a file nor a clock to trust, a key drawn for this run alone takes the
 * place of both.
 *
 * The permutation's key comes from the identity's secret: ids stay unforeseeable, and there is no other secret to keep.
 * @module
 */
import { concat, utf8 } from "../../lib/base/bytes.ts";
import type { Random } from "../../lib/crypto/primitives.ts";
import { type IdBlock, IDS_PER_BLOCK, randomIdBlock } from "../../lib/node/packet_ids.ts";
import { type Home, HomeError } from "./home.ts";

const FILE = "packet-ids";
const LABEL = "zt packet ids, key of the permutation";
const EPOCH_S = 1_704_067_200; // 2024-01-01: clocks before it were never set
const BLOCKS_MAX = 2 ** 64 / IDS_PER_BLOCK; // 34 years, a block a second
/** Taken from the file at once: the control thread, a Worker, and a Worker again after each of a few deaths. */
const RESERVE = 8;

/** What blocks are made with. */
export interface PacketIdSetup {
  readonly home: Home;
  /** The identity's secret key. */
  readonly secretKey: Uint8Array;
  readonly sha512: (message: Uint8Array) => Uint8Array;
  readonly random: Random;
  /** Seconds since 1970. */
  readonly wallS: () => number;
  readonly log: (line: string) => void;
}

export class PacketIdBlocks {
  readonly #setup: PacketIdSetup;
  readonly #key: Uint32Array;
  #next = 0;
  #end = 0; // blocks from `next` to here are ours, the file says so

  constructor(setup: PacketIdSetup) {
    this.#setup = setup;
    const digest = setup.sha512(concat(utf8(LABEL), setup.secretKey));
    this.#key = new Uint32Array(digest.slice(0, 16).buffer);
  }

  /** A block nobody had before. */
  take(): IdBlock {
    if (this.#next === this.#end && !this.#reserve()) return randomIdBlock(this.#setup.random);
    const high = this.#next++ * (IDS_PER_BLOCK / 2 ** 32);
    return { key: this.#key, low: 0, high };
  }

  /** @returns false when no numbers can be had that are certainly free */
  #reserve(): boolean {
    const { home, wallS, log } = this.#setup;
    try {
      const noted = this.#noted();
      const elapsedS = Math.floor(wallS()) - EPOCH_S;
      if (noted === undefined && elapsedS < 0) return false;
      const next = Math.max(noted ?? 0, elapsedS, this.#end);
      if (next + RESERVE > BLOCKS_MAX) return false;
      home.write(FILE, `${next + RESERVE}\n`);
      this.#next = next;
      this.#end = next + RESERVE;
      return true;
    } catch (error) {
      if (!(error instanceof HomeError)) throw error;
      log(`packet ids get a key of this run's own: ${error.message}`);
      return false;
    }
  }

  /** The first number the file says may be free; undefined when it says nothing. */
  #noted(): number | undefined {
    const { home, log } = this.#setup;
    const text = home.readText(FILE);
    if (text === undefined) return undefined;
    if (/^\d{1,10}\n?$/.test(text)) return Number(text);
    log(home.setAside(FILE, "not a number"));
    return undefined;
  }
}
