/**
 * Proofs of work. Who meets somebody now and then has them checked at once, on its own thread: that
 * takes 12 ms, a Worker 100 ms to start. Whatever is more is for a Worker, started with its first
 * job and ended when there has been none for a while.
 * @module
 */
import { setImmediate } from "node:timers";
import { releasePages } from "../../ffi/linux/memory.ts";
import { Reader, Writer } from "../../lib/base/bytes.ts";
import type { Address } from "../../lib/base/ids.ts";
import { type BucketLimits, TokenBucket } from "../../lib/base/rate.ts";
import { Identity, IDENTITY_LENGTH } from "../../lib/identity/identity.ts";
import { isPossiblePrefix, locallyValidate } from "../../lib/identity/work.ts";
import { WorkKernel } from "../../lib/kernel/mod.ts";
import { machinePrimitives } from "./primitives.ts";
import type { ValidateReply, ValidateRequest } from "./validate_worker.ts";

/**
 * Most identities waiting to be checked: about three seconds of work. Bounds memory and delay under
 * a flood of made-up identities; who is turned away says HELLO again.
 */
export const VALIDATIONS_PENDING_MAX = 256;
/** Most searches at once: each slows the others down. */
export const GENERATIONS_PENDING_MAX = 4;
/** A Worker holds some megabytes, what checks here two: more than a few newcomers after this pause wait for a new one. */
const IDLE_END_MS = 10_000;
/** Checked on this thread while no Worker runs: three strangers at once, then one a second, 1 % of a core. */
const CHECKED_HERE = { perSecond: 1, burst: 3 };

/** How far a search is. */
export interface GenerateProgress {
  /** Keys tried so far. */
  readonly tries: number;
  /** A valid address that does not start with the prefix. */
  readonly passed?: Address;
}

export interface GenerateIdentityOptions {
  /** Hexadecimal digits the address must start with, at most 10. */
  readonly prefix?: string;
  /** Stops the search; the promise is then rejected with the signal's reason. */
  readonly signal?: AbortSignal;
}

interface Generation {
  readonly onProgress: (progress: GenerateProgress) => void;
  readonly resolve: (identity: Identity) => void;
  readonly reject: (reason: unknown) => void;
}

/** Checks a few identities itself; asks the Worker for the others, and hands its answers back. */
export class Validator {
  readonly #idleEndMs: number;
  readonly #validations = new Map<number, (valid: boolean) => void>();
  readonly #generations = new Map<number, Generation>();
  readonly #here: TokenBucket;
  #checks: Promise<void> = Promise.resolve(); // on this thread, one after the other
  #kernel: WorkKernel | undefined; // 2 MB
  #worker: Worker | undefined;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;
  #lastTicket = 0;
  #closed = false;

  /**
   * @param idleEndMs How long what was needed for it outlives the last job
   * @param here How many identities are checked without it
   */
  constructor(idleEndMs = IDLE_END_MS, here: BucketLimits = CHECKED_HERE) {
    this.#idleEndMs = idleEndMs;
    this.#here = new TokenBucket(here.perSecond, here.burst);
  }

  /** Whether a Worker is there, at work or waiting. */
  get running(): boolean {
    return this.#worker !== undefined;
  }

  /**
   * Whether the address follows from the public key by enough work; a secret is not looked at.
   * @returns false also when that could not be found out: too many are waiting, or the validator was closed
   */
  validate(identity: Identity): Promise<boolean> {
    if (this.#closed || this.#validations.size >= VALIDATIONS_PENDING_MAX) {
      return Promise.resolve(false);
    }
    const ticket = ++this.#lastTicket;
    return new Promise((resolve) => {
      this.#validations.set(ticket, resolve);
      if (!this.#worker && this.#here.take(performance.now())) {
        return this.#checkSoon(ticket, identity);
      }
      const w = new Writer(IDENTITY_LENGTH);
      identity.encode(w);
      this.#ask({ kind: "validate", ticket, identity: w.finish() });
    });
  }

  /** One at a time, with a turn for others between them. */
  #checkSoon(ticket: number, identity: Identity): void {
    clearTimeout(this.#idleTimer);
    this.#checks = this.#checks.then(() =>
      new Promise((done) => {
        setImmediate(() => {
          this.#checkHere(ticket, identity);
          done();
        });
      })
    );
  }

  #checkHere(ticket: number, identity: Identity): void {
    if (!this.#validations.has(ticket)) return; // closed meanwhile
    const kernel = this.#kernel ??= new WorkKernel(machinePrimitives.sha512);
    this.#settle(ticket, locallyValidate(identity, (publicKey) => kernel.work(publicKey)));
  }

  #settle(ticket: number, valid: boolean): void {
    this.#validations.get(ticket)?.(valid);
    this.#validations.delete(ticket);
    this.#endWhenIdle();
  }

  /**
   * Searches for a new identity; takes the time of about fifteen tries.
   * @param onProgress Called after each key that was not the one
   * @throws {RangeError} when too many searches are under way, or no address can start with the prefix
   * @throws {Error} when the validator is closed or the Worker fails
   */
  generate(
    options: GenerateIdentityOptions = {},
    onProgress: (progress: GenerateProgress) => void = () => {},
  ): Promise<Identity> {
    const { prefix, signal } = options;
    if (this.#closed) return Promise.reject(new Error("the validator is closed"));
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (!isPossiblePrefix(prefix ?? "")) {
      return Promise.reject(new RangeError(`no address starts with "${prefix}"`));
    }
    if (this.#generations.size >= GENERATIONS_PENDING_MAX) {
      return Promise.reject(new RangeError(`${GENERATIONS_PENDING_MAX} searches are under way`));
    }
    const ticket = ++this.#lastTicket;
    const cancel = () => this.#cancel(ticket, signal?.reason);
    signal?.addEventListener("abort", cancel, { once: true });
    const found = new Promise<Identity>((resolve, reject) => {
      this.#generations.set(ticket, { onProgress, resolve, reject });
      this.#ask({ kind: "generate", ticket, prefix });
    });
    return found.finally(() => signal?.removeEventListener("abort", cancel));
  }

  /** Ends the Worker. What is under way ends too: validations with false, searches with an error. */
  close(): void {
    this.#closed = true;
    this.#end(new Error("the validator was closed"));
  }

  #ask(request: ValidateRequest): void {
    clearTimeout(this.#idleTimer);
    this.#worker ??= this.#start();
    this.#worker.postMessage(request);
  }

  #start(): Worker {
    const worker = new Worker(new URL("./validate_worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = (event: MessageEvent<ValidateReply>) => this.#handle(event.data);
    worker.onerror = (event) => {
      event.preventDefault(); // the jobs hear of it; the program goes on
      this.#end(new Error(`the proof of work failed: ${event.message}`));
    };
    return worker;
  }

  #handle(reply: ValidateReply): void {
    if (reply.kind === "progress") {
      this.#generations.get(reply.ticket)?.onProgress(reply);
      return;
    }
    if (reply.kind === "validated") return this.#settle(reply.ticket, reply.valid);
    const identity = Identity.decode(new Reader(reply.identity, "new identity"));
    this.#generations.get(reply.ticket)?.resolve(identity);
    this.#generations.delete(reply.ticket);
    this.#endWhenIdle();
  }

  #cancel(ticket: number, reason: unknown): void {
    const generation = this.#generations.get(ticket);
    if (!generation) return;
    this.#generations.delete(ticket);
    this.#worker?.postMessage({ kind: "cancel", ticket } satisfies ValidateRequest);
    generation.reject(reason);
    this.#endWhenIdle();
  }

  #endWhenIdle(): void {
    if (this.#validations.size > 0 || this.#generations.size > 0) return;
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => this.#end(new Error("idle")), this.#idleEndMs);
  }

  #end(reason: Error): void {
    clearTimeout(this.#idleTimer);
    this.#worker?.terminate();
    this.#worker = undefined;
    if (this.#kernel) releasePages(this.#kernel.memory);
    this.#kernel = undefined;
    for (const resolve of this.#validations.values()) resolve(false);
    for (const { reject } of this.#generations.values()) reject(reason);
    this.#validations.clear();
    this.#generations.clear();
  }
}
