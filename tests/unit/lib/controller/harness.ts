/**
 * A controller with its store at hand, driven step by step: what the tests of the controller share.
 * @module
 */
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import type { Address, NetworkId } from "../../../../lib/base/ids.ts";
import { parseNetworkId } from "../../../../lib/base/ids.ts";
import {
  encodeRequestMetadata,
  OUR_METADATA,
  type RequestMetadata,
} from "../../../../lib/credential/request_metadata.ts";
import type { Random } from "../../../../lib/crypto/primitives.ts";
import { Identity } from "../../../../lib/identity/identity.ts";
import { Controller } from "../../../../lib/controller/controller.ts";
import type { JsonObject, JsonValue } from "../../../../lib/controller/json.ts";
import type { StoredResult } from "../../../../lib/controller/lanes.ts";
import type { ControllerAction, ControllerInput } from "../../../../lib/controller/machine.ts";

export type Kind<K extends ControllerAction["kind"]> = ControllerAction & { kind: K };

/** The same bytes every run. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return (bytes) => {
    for (let i = 0; i < bytes.length; i++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      bytes[i] = state >>> 24;
    }
  };
}

/** An identity of any address; nobody checks its proof of work here. */
export function identityOf(address: number, seed = address): Identity {
  const secretKey = new Uint8Array(64);
  seededRandom(seed)(secretKey);
  const publicKey = new Uint8Array(64);
  publicKey.set(noblePrimitives.x25519Public(secretKey.subarray(0, 32)));
  publicKey.set(noblePrimitives.ed25519Public(secretKey.subarray(32)), 32);
  return new Identity({ address: address as Address, publicKey, secretKey });
}

/** As {@linkcode identityOf}, without real keys: for crowds. */
export function strangerOf(address: number): Identity {
  const publicKey = new Uint8Array(64);
  seededRandom(address)(publicKey);
  return new Identity({ address: address as Address, publicKey });
}

/** What a reference node of 1.14.1 says about itself. */
export function metadata(changes: Partial<RequestMetadata> = {}): Uint8Array {
  return encodeRequestMetadata({
    ...OUR_METADATA,
    protocolVersion: 12,
    majorVersion: 1,
    minorVersion: 14,
    revision: 1,
    platform: "linux/x86_64",
    ...changes,
  });
}

export const CONTROLLER = 0x7d6fc6c765 as Address;
const OWN = identityOf(CONTROLLER);

/** A controller whose store takes everything at once, unless `holdStore` is set. */
export class Harness {
  readonly controller: Controller;
  /** Actions not yet looked at, without "store" and "apiReply". */
  actions: ControllerAction[] = [];
  /** Writes waiting for {@linkcode answerStore}. */
  held: Kind<"store">[] = [];
  holdStore = false;
  /** What the store was told, in order. */
  readonly writes: Kind<"store">[] = [];
  readonly records = new Map<string, JsonObject>();
  #replies = new Map<number, Kind<"apiReply">>();
  #ticket = 0;
  #requestId = 1n;

  /** @param loaded What the store holds; "nothing yet": it has not been read */
  constructor(
    loaded: { networks: JsonObject[]; members: JsonObject[] } | "nothing yet" = EMPTY,
    readonly time = { nowMs: 1_000_000, wallMs: 1_795_355_000_000 },
  ) {
    this.controller = new Controller({
      identity: OWN,
      primitives: noblePrimitives,
      random: seededRandom(7),
    });
    if (loaded !== "nothing yet") this.hand({ kind: "load", ...structuredClone(loaded) });
  }

  hand(input: ControllerInput): void {
    this.controller.handle(input, this.time);
    this.drain();
  }

  drain(): void {
    for (let action; (action = this.controller.poll());) {
      if (action.kind === "apiReply") this.#replies.set(action.ticket, action);
      else if (action.kind === "store") this.#store(action);
      else this.actions.push(action);
    }
  }

  #store(action: Kind<"store">): void {
    this.writes.push(action);
    this.held.push(action);
    if (!this.holdStore) this.answerStore();
  }

  /** Answers the oldest write that waits. */
  answerStore(answer: StoredResult = { result: "ok" }): void {
    const write = this.held.shift();
    if (!write) throw new Error("no write waits");
    if (answer.result === "ok") {
      const key = `${write.key.network}/${write.key.member ?? ""}`;
      if (write.value) this.records.set(key, structuredClone(write.value));
      else this.#forget(write);
    }
    this.hand({ kind: "stored", ticket: write.ticket, ...answer });
  }

  #forget({ key }: Kind<"store">): void {
    for (const name of [...this.records.keys()]) {
      const [network, member] = name.split("/");
      const hit = network === key.network && (key.member === undefined || key.member === member);
      if (hit) this.records.delete(name);
    }
  }

  /** Another controller on what this one stored: a restart. */
  restarted(): Harness {
    const records = [...this.records.values()];
    return new Harness({
      networks: records.filter((record) => record.objtype === "network"),
      members: records.filter((record) => record.objtype === "member"),
    }, { ...this.time });
  }

  /** Starts an API call. @returns its ticket */
  begin(method: string, path: string, body = ""): number {
    const ticket = ++this.#ticket;
    this.hand({ kind: "api", ticket, method, path, body });
    return ticket;
  }

  reply(ticket: number): Kind<"apiReply"> | undefined {
    return this.#replies.get(ticket);
  }

  /** A whole API call. */
  api(method: string, path: string, body: JsonValue | undefined = undefined): Kind<"apiReply"> {
    const text = body === undefined ? "" : JSON.stringify(body);
    const reply = this.reply(this.begin(method, path, text));
    if (!reply) throw new Error(`${method} ${path} was not answered`);
    return reply;
  }

  /** POSTs and returns the object that came back. */
  post(path: string, body: JsonObject): JsonObject {
    const { status, json } = this.api("POST", path, body);
    if (status !== 200) throw new Error(`POST ${path}: ${status} ${JSON.stringify(json)}`);
    return json as JsonObject;
  }

  get(path: string): JsonObject {
    return this.api("GET", path).json as JsonObject;
  }

  /** A config request in a packet, from somebody who has not asked for a while. @returns what it was answered */
  request(
    network: string,
    from: Identity,
    said: Uint8Array = metadata(),
  ): Kind<"config"> | Kind<"refuse"> | undefined {
    this.advance(2_000);
    this.actions = [];
    this.hand({
      kind: "request",
      network: parseNetworkId(network) as NetworkId,
      from,
      requestId: this.#requestId++,
      metadata: said,
    });
    return this.actions.find((action) => action.kind === "config" || action.kind === "refuse") as
      | Kind<"config">
      | Kind<"refuse">
      | undefined;
  }

  /** Both clocks move; nothing is told. */
  advance(ms: number): void {
    this.time.nowMs += ms;
    this.time.wallMs += ms;
  }

  /** Hands in timeouts for as long as some are due now. */
  settle(): void {
    while (this.controller.deadlineMs <= this.time.nowMs) this.hand({ kind: "timeout" });
  }

  /** Actions of a kind since the last look, which are forgotten then. */
  take<K extends ControllerAction["kind"]>(kind: K): Kind<K>[] {
    const taken = this.actions.filter((action) => action.kind === kind) as Kind<K>[];
    this.actions = this.actions.filter((action) => action.kind !== kind);
    return taken;
  }
}

const EMPTY = { networks: [], members: [] };
