/**
 * AES-GMAC-SIV by the system's libcrypto (OpenSSL 1.1 and 3), where there is one: it uses the
 * processor's AES instructions, which WebAssembly has not, and is twice as fast as our Salsa20/12
 * on long packets. A machine without it loses nothing but that.
 *
 * Only functions OpenSSL documents for applications; numbers of a call's making are `bigint`s for
 * the reason `libc.ts` gives.
 *
 * Source: `EVP_EncryptInit(3)`, `OPENSSL_init_crypto(3)`; spec 01 section 6.3; slow twin `lib/crypto/gmac_siv.ts`.
 * @module
 */
import type { PlaneAes } from "../../lib/dataplane/plane_aes.ts";
import { Block } from "./block.ts";
import { readTextFileIfAny } from "./system.ts";

const FOLDERS = [
  "/lib/x86_64-linux-gnu",
  "/lib/aarch64-linux-gnu",
  "/lib64",
  "/usr/lib64",
  "/usr/lib",
  "/lib",
];

/** Every place a supported libcrypto is found at, the newer version first. `--allow-ffi` names them. */
export const LIBCRYPTO_PATHS: readonly string[] = ["libcrypto.so.3", "libcrypto.so.1.1"]
  .flatMap((name) => FOLDERS.map((folder) => `${folder}/${name}`));

const SYMBOLS = {
  OPENSSL_init_crypto: { parameters: ["u64", /* options */ "usize"], result: "i32" },
  EVP_aes_256_gcm: { parameters: [], result: "usize" },
  EVP_aes_256_ecb: { parameters: [], result: "usize" },
  EVP_aes_256_ctr: { parameters: [], result: "usize" },
  EVP_CIPHER_CTX_new: { parameters: [], result: "usize" },
  EVP_CIPHER_CTX_free: { parameters: ["usize"], result: "void" },
  EVP_CIPHER_CTX_set_padding: { parameters: ["usize", "i32"], result: "i32" },
  EVP_CIPHER_CTX_ctrl: {
    parameters: ["usize", "i32", /* command */ "i32", /* bytes */ "usize"],
    result: "i32",
  },
  EVP_CipherInit_ex: {
    parameters: [
      "usize", // context
      "usize", // cipher
      "usize", // engine
      "usize", // key
      "usize", // initial vector
      "i32", // 1 encrypts, 0 decrypts, -1 as before
    ],
    result: "i32",
  },
  EVP_CipherUpdate: {
    parameters: ["usize", "usize", /* out */ "usize", /* its bytes */ "usize", /* in */ "i32"],
    result: "i32",
  },
  EVP_CipherFinal_ex: { parameters: ["usize", "usize", "usize"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

type Libcrypto = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/**
 * No clearing up when the process ends, while this thread may be at work, and no configuration
 * file: neither has anything for us.
 */
const INIT_NO_LOAD_CONFIG = 0x80n;
const INIT_NO_ATEXIT = 0x80000n;
const CTRL_AEAD_GET_TAG = 0x10;
const ENCRYPT = 1;
const DECRYPT = 0;
const KEEP = -1; // direction as it was set
const KEY_BYTES = 32;
const BLOCK_BYTES = 16;
/** Processor features, as Linux names them, without which the library is no faster than we are. */
const FEATURES = [["aes", "pclmulqdq"], ["aes", "pmull"]];

/** Fields of a packet. Source: spec 02 section 2. */
const AT_DESTINATION = 8;
const AT_MAC = 19;
const AT_ENVELOPE = 27;
const MASK_HOPS = 0x07;

/** Where things are in the block C works on. */
const NONCE_AT = 0; // 12 bytes, the last four 0
const HEAD_AT = 16; // what is authenticated besides the envelope, padded to a block
const GMAC_AT = 32;
const PLAIN_TAG_AT = 48; // nonce and folded GMAC
const TAG_AT = 64; // the same, encrypted
const COUNTER_AT = 80;
const MAC_AT = 96; // the GMAC, folded
const LENGTH_AT = 104; // what a call wrote, which we know
const ENVELOPE_AT = 112; // its address: a bigint read here and handed on is never made an object
const KEY_AT = 120;
const WORK_BYTES = KEY_AT + KEY_BYTES;
/** Folded GMAC of 32 zeros under a key and a nonce of zeros. */
const KNOWN_MAC = 0x2d79_70e2_06fc_1f4dn;

/**
 * Whether {@linkcode LibcryptoAes} can be had here and pays: found out by opening it, for whoever is
 * told so is sent AES, and without the library that costs five times what Salsa20/12 does.
 */
export function hasFastAes(): boolean {
  const features = /^(?:flags|Features)\s*:(.*)$/m.exec(readTextFileIfAny("/proc/cpuinfo") ?? "")
    ?.[1];
  const words = new Set(features?.trim().split(/\s+/));
  return FEATURES.some((all) => all.every((word) => words.has(word))) &&
    LibcryptoAes.open(new Block(BLOCK_BYTES)) !== undefined;
}

let opened: Libcrypto | undefined;

/** Opened once a thread: a call is fast only while there is one function it can be of. */
function libcrypto(): Libcrypto | undefined {
  for (const path of opened ? [] : LIBCRYPTO_PATHS) {
    try {
      opened = Object.create(Deno.dlopen(path, SYMBOLS).symbols) as Libcrypto; // see `libc.ts`
      opened.OPENSSL_init_crypto(INIT_NO_LOAD_CONFIG | INIT_NO_ATEXIT, 0n);
      return opened;
    } catch {
      // Absent, of another architecture, without one of the functions, or not permitted: the next one may do.
    }
  }
  return opened;
}

/** The contexts of one session, by address. */
interface Contexts {
  readonly gmac: bigint;
  readonly encrypt: bigint;
  readonly decrypt: bigint;
  readonly ctr: bigint;
}

/** For the life of its thread. About 6 KB of the library's memory for each session with keys. */
export class LibcryptoAes implements PlaneAes {
  readonly #library: Libcrypto;
  readonly #packets: Block;
  readonly #work = new Block(WORK_BYTES);
  readonly #nonce = this.#work.addressAt(NONCE_AT);
  readonly #head = this.#work.addressAt(HEAD_AT);
  readonly #gmac = this.#work.addressAt(GMAC_AT);
  readonly #plainTag = this.#work.addressAt(PLAIN_TAG_AT);
  readonly #tag = this.#work.addressAt(TAG_AT);
  readonly #counter = this.#work.addressAt(COUNTER_AT);
  readonly #length = this.#work.addressAt(LENGTH_AT);
  readonly #sessions: (Contexts | undefined)[] = [];

  private constructor(library: Libcrypto, packets: Block) {
    this.#library = library;
    this.#packets = packets;
  }

  /**
   * @param packets Memory the packets are in
   * @returns undefined when no library opens or it does not do what it should
   */
  static open(packets: Block): LibcryptoAes | undefined {
    const library = libcrypto();
    const aes = library && new LibcryptoAes(library, packets);
    return aes && aes.#works() ? aes : undefined;
  }

  /** A library that is built to refuse what we need (FIPS providers do) shows it here and not on the first packet. */
  #works(): boolean {
    const key = new Uint8Array(KEY_BYTES);
    try {
      this.setKeys(0, key, key);
    } catch {
      return false;
    }
    this.#packets.bytes.fill(0, 0, BLOCK_BYTES);
    this.#packets.putAddress(this.#work.words, ENVELOPE_AT, 0);
    const worked = this.#authenticate(this.#sessions[0]!, BLOCK_BYTES);
    this.removeKeys(0);
    return worked === 1 && this.#work.view.getBigUint64(MAC_AT) === KNOWN_MAC;
  }

  /** @throws {Error} when the library has no memory left */
  setKeys(session: number, k0: Uint8Array, k1: Uint8Array): void {
    this.removeKeys(session);
    const c = this.#library;
    this.#sessions[session] = {
      gmac: this.#context(c.EVP_aes_256_gcm(), k0, ENCRYPT),
      encrypt: this.#context(c.EVP_aes_256_ecb(), k1, ENCRYPT),
      decrypt: this.#context(c.EVP_aes_256_ecb(), k1, DECRYPT),
      ctr: this.#context(c.EVP_aes_256_ctr(), k1, ENCRYPT),
    };
  }

  #context(cipher: bigint, key: Uint8Array, direction: number): bigint {
    const c = this.#library;
    const context = c.EVP_CIPHER_CTX_new();
    this.#work.bytes.set(key, KEY_AT);
    const keyAt = this.#work.addressAt(KEY_AT);
    const taken = c.EVP_CipherInit_ex(context, cipher, 0n, keyAt, this.#counter, direction) &
      c.EVP_CIPHER_CTX_set_padding(context, 0);
    this.#work.bytes.fill(0, KEY_AT);
    if (taken !== 1) throw new Error("libcrypto refuses AES-256");
    return context;
  }

  removeKeys(session: number): void {
    const contexts = this.#sessions[session];
    if (!contexts) return;
    for (const context of Object.values(contexts)) this.#library.EVP_CIPHER_CTX_free(context);
    this.#sessions[session] = undefined;
  }

  seal(packet: number, length: number, session: number): void {
    const contexts = this.#sessions[session]!;
    const { view } = this.#packets;
    const work = this.#work.view;
    const size = length - AT_ENVELOPE;
    this.#packets.putAddress(this.#work.words, ENVELOPE_AT, packet + AT_ENVELOPE);
    work.setUint32(NONCE_AT, view.getUint32(packet));
    work.setUint32(NONCE_AT + 4, view.getUint32(packet + 4));
    this.#loadHead(packet);
    let worked = this.#authenticate(contexts, size);
    work.setUint32(PLAIN_TAG_AT, work.getUint32(NONCE_AT));
    work.setUint32(PLAIN_TAG_AT + 4, work.getUint32(NONCE_AT + 4));
    work.setUint32(PLAIN_TAG_AT + 8, work.getUint32(MAC_AT));
    work.setUint32(PLAIN_TAG_AT + 12, work.getUint32(MAC_AT + 4));
    worked &= this.#block(contexts.encrypt, this.#tag, this.#plainTag);
    worked &= this.#crypt(contexts, size);
    view.setUint32(packet, work.getUint32(TAG_AT));
    view.setUint32(packet + 4, work.getUint32(TAG_AT + 4));
    view.setUint32(packet + AT_MAC, work.getUint32(TAG_AT + 8));
    view.setUint32(packet + AT_MAC + 4, work.getUint32(TAG_AT + 12));
    // Out of memory, or worse: nothing readable may leave.
    if (worked !== 1) this.#packets.bytes.fill(0, packet + AT_ENVELOPE, packet + length);
  }

  open(packet: number, length: number, session: number): number {
    const contexts = this.#sessions[session]!;
    const { view } = this.#packets;
    const work = this.#work.view;
    const size = length - AT_ENVELOPE;
    this.#packets.putAddress(this.#work.words, ENVELOPE_AT, packet + AT_ENVELOPE);
    work.setUint32(TAG_AT, view.getUint32(packet));
    work.setUint32(TAG_AT + 4, view.getUint32(packet + 4));
    work.setUint32(TAG_AT + 8, view.getUint32(packet + AT_MAC));
    work.setUint32(TAG_AT + 12, view.getUint32(packet + AT_MAC + 4));
    let worked = this.#crypt(contexts, size);
    worked &= this.#block(contexts.decrypt, this.#plainTag, this.#tag);
    work.setUint32(NONCE_AT, work.getUint32(PLAIN_TAG_AT));
    work.setUint32(NONCE_AT + 4, work.getUint32(PLAIN_TAG_AT + 4));
    this.#loadHead(packet);
    worked &= this.#authenticate(contexts, size);
    const differs = (work.getInt32(MAC_AT) ^ work.getInt32(PLAIN_TAG_AT + 8)) |
      (work.getInt32(MAC_AT + 4) ^ work.getInt32(PLAIN_TAG_AT + 12));
    if (differs === 0 && worked === 1) return 1;
    this.#crypt(contexts, size);
    return 0;
  }

  #block(context: bigint, to: bigint, from: bigint): number {
    return this.#library.EVP_CipherUpdate(context, to, this.#length, from, BLOCK_BYTES);
  }

  /** Addresses and flags, without hops. */
  #loadHead(packet: number): void {
    const { view } = this.#packets;
    const work = this.#work.view;
    work.setUint32(HEAD_AT, view.getUint32(packet + AT_DESTINATION));
    work.setUint32(HEAD_AT + 4, view.getUint32(packet + AT_DESTINATION + 4));
    work.setUint16(HEAD_AT + 8, view.getUint16(packet + AT_DESTINATION + 8));
    work.setUint8(HEAD_AT + 10, view.getUint8(packet + AT_DESTINATION + 10) & ~MASK_HOPS);
  }

  /** GMAC of head and plain envelope under the nonce, folded. @returns 1 when it worked */
  #authenticate({ gmac }: Contexts, size: number): number {
    const c = this.#library;
    const work = this.#work.view;
    const from = work.getBigUint64(ENVELOPE_AT, true);
    let worked = c.EVP_CipherInit_ex(gmac, 0n, 0n, 0n, this.#nonce, KEEP);
    worked &= c.EVP_CipherUpdate(gmac, 0n, this.#length, this.#head, BLOCK_BYTES);
    worked &= c.EVP_CipherUpdate(gmac, 0n, this.#length, from, size);
    worked &= c.EVP_CipherFinal_ex(gmac, this.#gmac, this.#length);
    worked &= c.EVP_CIPHER_CTX_ctrl(gmac, CTRL_AEAD_GET_TAG, BLOCK_BYTES, this.#gmac);
    work.setInt32(MAC_AT, work.getInt32(GMAC_AT) ^ work.getInt32(GMAC_AT + 8));
    work.setInt32(MAC_AT + 4, work.getInt32(GMAC_AT + 4) ^ work.getInt32(GMAC_AT + 12));
    return worked;
  }

  /** CTR from the tag with the top bit of its last word cleared, so that counting never carries out of it. */
  #crypt({ ctr }: Contexts, size: number): number {
    const c = this.#library;
    const work = this.#work.view;
    const at = work.getBigUint64(ENVELOPE_AT, true);
    work.setUint32(COUNTER_AT, work.getUint32(TAG_AT));
    work.setUint32(COUNTER_AT + 4, work.getUint32(TAG_AT + 4));
    work.setUint32(COUNTER_AT + 8, work.getUint32(TAG_AT + 8));
    work.setUint32(COUNTER_AT + 12, work.getUint32(TAG_AT + 12) & 0x7fff_ffff);
    return c.EVP_CipherInit_ex(ctr, 0n, 0n, 0n, this.#counter, KEEP) &
      c.EVP_CipherUpdate(ctr, at, this.#length, at, size);
  }
}
