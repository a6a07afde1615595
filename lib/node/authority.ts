/**
 * A node that is a network controller: requests go to the `Controller`, what it decides goes out as
 * packets, and what it wants stored goes on to the engine.
 *
 * Source: spec 05 sections 2.4, 2.5 and 5.
 * @module
 */
import { Writer } from "../base/bytes.ts";
import { type Address, controllerOf, type NetworkId } from "../base/ids.ts";
import { Timers } from "../base/timers.ts";
import type { ControllerAction, ControllerInput } from "../controller/machine.ts";
import { encodeChunk } from "../credential/config_chunk.ts";
import { signChunks } from "../credential/config_chunks.ts";
import {
  CONFIG_LENGTH_MAX,
  encodeNetworkConfig,
  type NetworkConfig,
} from "../credential/network_config.ts";
import { sign } from "../identity/sign.ts";
import type { Authority, Networks } from "../network/networks.ts";
import { encodeError, encodeErrorNetwork } from "../wire/error.ts";
import { encodeNetworkCredentials } from "../wire/network_credentials.ts";
import { encodeInRe } from "../wire/ok.ts";
import { ErrorCode, Verb } from "../wire/packet.ts";
import type { ControllerMachine } from "./machine.ts";
import type { Received } from "./node.ts";
import type { Vl1 } from "./vl1.ts";

/**
 * A configuration nobody asked for is sent again after so long, unless it is acknowledged, since
 * nobody misses it when it is lost: for a minute a member would go on with rules that hold no more.
 */
const REPEAT_AFTER_MS = [1_000, 2_000, 5_000];
const REPEATS_MAX = 16_384; // at a time; beyond, members have to wait for their next request

/** A configuration pushed to one member, in chunks, to be sent again. */
interface Repeat {
  readonly key: string;
  readonly to: Address;
  readonly updateId: bigint;
  readonly chunks: readonly Uint8Array[];
  tries: number;
}

type ConfigAction = ControllerAction & { kind: "config" };
type RefuseAction = ControllerAction & { kind: "refuse" };
type RevokeAction = ControllerAction & { kind: "revoke" };

export class ControllerAuthority implements Authority {
  readonly #repeats = new Timers<Repeat>();
  readonly #byKey = new Map<string, Repeat>();

  constructor(
    readonly vl1: Vl1,
    readonly networks: Networks,
    readonly controller: ControllerMachine,
  ) {}

  request(network: NetworkId, metadata: Uint8Array, received: Received | undefined): void {
    if (controllerOf(network) !== this.vl1.address) return;
    const from = received?.peer.identity ?? this.vl1.identity.publicOnly();
    this.handle({ kind: "request", network, from, requestId: received?.id, metadata });
  }

  seen(address: Address): void {
    this.handle({ kind: "seen", member: address });
  }

  get deadlineMs(): number {
    return Math.min(this.controller.deadlineMs, this.#repeats.nextMs);
  }

  /** A member has a configuration that was pushed to it. */
  acknowledged(network: NetworkId, from: Address, updateId: bigint): void {
    const key = configKey(network, from);
    if (this.#byKey.get(key)?.updateId === updateId) this.#settle(key);
  }

  #settle(key: string): void {
    const repeat = this.#byKey.get(key);
    if (!repeat) return;
    this.#byKey.delete(key);
    this.#repeats.delete(repeat);
  }

  /** Sends a configuration, and again a little later unless it is acknowledged. */
  #push(push: Omit<Repeat, "tries">): void {
    this.#send(push.to, Verb.NETWORK_CONFIG, push.chunks);
    if (this.#byKey.size >= REPEATS_MAX) return;
    const repeat = { ...push, tries: 0 };
    this.#byKey.set(push.key, repeat);
    this.#repeats.set(repeat, this.vl1.nowMs + REPEAT_AFTER_MS[0]);
  }

  #send(to: Address, verb: Verb, payloads: readonly Uint8Array[]): void {
    for (const payload of payloads) this.vl1.send(to, verb, payload, { compress: true });
  }

  #sendAgain(): void {
    const { nowMs } = this.vl1;
    for (;;) {
      const repeat = this.#repeats.pop(nowMs);
      if (!repeat) return;
      this.#send(repeat.to, Verb.NETWORK_CONFIG, repeat.chunks);
      repeat.tries++;
      if (repeat.tries === REPEAT_AFTER_MS.length) this.#byKey.delete(repeat.key);
      else this.#repeats.set(repeat, nowMs + REPEAT_AFTER_MS[repeat.tries]);
    }
  }

  /** Hands the controller an input and carries out what it decides. */
  handle(input: ControllerInput): void {
    this.controller.handle(input, this.vl1.time);
    for (let action = this.controller.poll(); action; action = this.controller.poll()) {
      this.#carryOut(action);
    }
    if (input.kind === "timeout") this.#sendAgain();
  }

  #carryOut(action: ControllerAction): void {
    switch (action.kind) {
      case "config":
        return this.#sendConfig(action);
      case "refuse":
        return this.#refuse(action);
      case "revoke":
        return this.#revoke(action);
      default:
        this.vl1.outbox.push({ kind: "controller", action });
    }
  }

  #sendConfig({ to, network, requestId, config }: ConfigAction): void {
    if (to === this.vl1.address) {
      this.networks.find(network)?.takeDictionary(dictionaryOf(config), "own");
      return;
    }
    this.networks.verbs.authorized(network, to);
    const id = new Uint8Array(8);
    this.vl1.config.random(id);
    id[0] |= 1; // an update id is never 0
    const updateId = new DataView(id.buffer).getBigUint64(0);
    const { primitives } = this.vl1.config;
    const chunks = signChunks(
      { networkId: network, updateId, dictionary: dictionaryOf(config) },
      (message) => sign(primitives, this.vl1.identity, message),
    );
    const payloads = chunks.map((chunk) => {
      const w = new Writer(1024);
      if (requestId !== undefined) {
        encodeInRe({ inReVerb: Verb.NETWORK_CONFIG_REQUEST, inRePacketId: requestId }, w);
      }
      encodeChunk(chunk, chunk.signature, w);
      return w.finish();
    });
    const key = configKey(network, to);
    this.#settle(key); // what was pushed before is outdated
    if (requestId === undefined) this.#push({ key, to, updateId, chunks: payloads });
    else this.#send(to, Verb.OK, payloads);
  }

  #refuse({ to, network, requestId, code }: RefuseAction): void {
    if (requestId === undefined) {
      const refusal = code === ErrorCode.NETWORK_ACCESS_DENIED ? "ACCESS_DENIED" : "NOT_FOUND";
      this.networks.find(network)?.refuse(refusal, undefined);
      return;
    }
    this.#settle(configKey(network, to)); // or what was pushed before would undo it
    const body = new Writer(8);
    encodeErrorNetwork(network, body);
    const w = new Writer(32);
    const inReVerb = Verb.NETWORK_CONFIG_REQUEST;
    encodeError({ inReVerb, inRePacketId: requestId, code, body: body.finish() }, w);
    this.vl1.send(to, Verb.ERROR, w.finish());
  }

  #revoke({ to, revocations }: RevokeAction): void {
    const credentials = { coms: [], capabilities: [], tags: [], revocations, ownerships: [] };
    const w = new Writer(512);
    encodeNetworkCredentials(credentials, w);
    const payload = w.finish();
    for (const address of to) {
      if (address === this.vl1.address) {
        this.networks.credentials.receive(undefined, { ...credentials, complete: true });
      } else this.#send(address, Verb.NETWORK_CREDENTIALS, [payload]);
    }
  }
}

/** Without names where they would make it too long for anybody to take: a network works without. */
function dictionaryOf(config: NetworkConfig): Uint8Array {
  const whole = encodeNetworkConfig(config);
  if (whole.length < CONFIG_LENGTH_MAX) return whole;
  return encodeNetworkConfig({ ...config, names: undefined });
}

function configKey(network: NetworkId, member: Address): string {
  return `${network}|${member}`;
}
