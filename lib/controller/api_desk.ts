/**
 * The controller's local API: reads are answered at once, writes wait their turn in the lane of their network.
 *
 * Source: spec 05 section 9.
 * @module
 */
import { Reader } from "../base/bytes.ts";
import { formatAddress, type NetworkId } from "../base/ids.ts";
import {
  type ApiReply,
  type ApiTarget,
  type ApiVerb,
  catchTypeError,
  errorReply,
  NOT_FOUND,
  readBody,
  routeApi,
} from "./api.ts";
import { type ApiView, readApi, writeApi, type WriteTarget } from "./api_outcome.ts";
import type { ControllerConfig } from "./controller.ts";
import type { JsonObject } from "./json.ts";
import type { Lanes, Task } from "./lanes.ts";
import type {
  ControllerCounters,
  ControllerInput,
  ControllerRead,
  ControllerTime,
} from "./machine.ts";

const NUMBER_TRIALS_MAX = 100_000; // spec 05 section 9.1: then there is no free network number
/** What a request looks for. */
const READS: Partial<Record<ApiTarget["what"], ControllerRead>> = {
  network: "network",
  member: "member",
  members: "members",
  "all members": "members",
  networks: "networks",
  "all networks": "networks",
};
const BUSY = errorReply(503, "too much waits for the store");

/**
 * What the desk needs of its controller; view, time and counts are the controller's own, as they
 * are at each moment.
 */
export interface ApiHost extends Pick<ControllerConfig, "identity" | "random"> {
  readonly view: ApiView;
  readonly time: Readonly<ControllerTime>;
  readonly lanes: Lanes;
  readonly reads: ControllerCounters["reads"];
  reply(ticket: number, reply: ApiReply): void;
}

export class ApiDesk {
  constructor(readonly host: ApiHost) {}

  /** Answers a request, at once or when its write is stored. */
  handle(input: ControllerInput & { kind: "api" }): void {
    const reply = this.#answer(input);
    if (reply) this.host.reply(input.ticket, reply);
  }

  /** @returns undefined when a write has to be stored first */
  #answer(input: ControllerInput & { kind: "api" }): ApiReply | undefined {
    const { view, time } = this.host;
    const route = routeApi(input.method, input.path);
    if (!route) return NOT_FOUND;
    const { verb, target } = route;
    this.#countRead(target);
    const isReady = view.isReady || (verb === "get" && target.what === "controller");
    if (!isReady) return BUSY;
    if (verb === "get") return readApi(view, target, time.wallMs);
    const writable = this.#writable(target);
    if ("status" in writable) return writable;
    const body = verb === "delete" ? { fields: {} } : this.#bodyFor(writable, input.body);
    if ("status" in body) return body;
    return this.#write(input.ticket, { verb, target: writable, fields: body.fields });
  }

  #countRead({ what }: ApiTarget): void {
    const read = READS[what];
    if (read) this.host.reads[read]++;
  }

  /** The record a write is about; a new network gets its number here. */
  #writable(target: ApiTarget): WriteTarget | ApiReply {
    switch (target.what) {
      case "network":
      case "member":
        return target;
      case "new network":
        if (target.controller !== formatAddress(this.host.identity.address)) {
          return { status: 400, json: undefined };
        }
        return this.#newNetwork();
      case "networks":
        return this.#newNetwork();
      default:
        return NOT_FOUND;
    }
  }

  #newNetwork(): WriteTarget | ApiReply {
    const { identity, random, view, lanes } = this.host;
    const bytes = new Uint8Array(4);
    for (let trial = 0; trial < NUMBER_TRIALS_MAX; trial++) {
      random(bytes);
      const number = new Reader(bytes, "random").u32() >>> 8;
      const prefix = BigInt(identity.address) << 24n;
      const network = (prefix | BigInt(number)) as NetworkId;
      if (number === 0 || view.networks.has(network) || lanes.isBusy(network)) continue;
      return { what: "network", network };
    }
    return { status: 503, json: undefined };
  }

  #bodyFor(target: WriteTarget, body: string): { fields: JsonObject } | ApiReply {
    const { networks } = this.host.view;
    if (target.what === "member" && !networks.has(target.network)) return NOT_FOUND;
    const read = readBody(body);
    return "reply" in read ? read.reply : read;
  }

  #write(
    ticket: number,
    request: { verb: ApiVerb; target: WriteTarget; fields: JsonObject },
  ): ApiReply | undefined {
    const { view, time, lanes } = this.host;
    const reply = (given: ApiReply) => this.host.reply(ticket, given);
    const task: Task = {
      decide: () => {
        const outcome = catchTypeError(() => writeApi(view, request, time.wallMs));
        if ("status" in outcome) return { then: () => reply(outcome) };
        return { write: outcome.write, then: () => reply(outcome.reply) };
      },
      fail: ({ reason, message }) => reply(errorReply(reason === "failed" ? 500 : 503, message)),
    };
    return lanes.add(request.target.network, task) ? undefined : BUSY;
  }
}
