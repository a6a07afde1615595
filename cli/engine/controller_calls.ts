/**
 * Takes `/controller` requests to the controller and brings its answers back: it answers some of
 * them only once the store has what they say, so each call waits under a ticket.
 *
 * Source: spec 05 section 9.
 * @module
 */
import type { ApiReply } from "../../lib/controller/api.ts";
import type { ControllerAnswer } from "../api/view.ts";
import type { ControllerAction, ControllerInput } from "../../lib/controller/machine.ts";

const CALLS_MAX = 4_096; // waiting at a time; protects memory while a disk hangs

/** A controller's reply as the local API shows it. */
export function controllerAnswer({ status, json, pretty }: ApiReply): ControllerAnswer {
  return { status, json: json as ControllerAnswer["json"], pretty };
}

/** Calls under way. */
export class ControllerCalls {
  readonly #hand: (input: ControllerInput) => void;
  readonly #open = new Map<number, (reply: ApiReply) => void>();
  #nextTicket = 1;
  #isClosed = false;

  /** @param hand Hands an input to the controller, then drains its actions; {@linkcode settle} gets the replies */
  constructor(hand: (input: ControllerInput) => void) {
    this.#hand = hand;
  }

  /** @param path Without query, e.g. "/controller/network"; @param method As sent; PUT counts as POST */
  call(method: string, path: string, body: string): Promise<ApiReply> {
    if (this.#isClosed || this.#open.size >= CALLS_MAX) {
      return Promise.resolve({ status: 503, json: undefined });
    }
    return new Promise((resolve) => {
      const ticket = this.#nextTicket++;
      this.#open.set(ticket, resolve);
      this.#hand({ kind: "api", ticket, method, path, body });
    });
  }

  /** Gives a call its answer; an answer nobody waits for is dropped. */
  settle(action: ControllerAction & { kind: "apiReply" }): void {
    const { ticket, kind: _, ...reply } = action;
    this.#open.get(ticket)?.(reply);
    this.#open.delete(ticket);
  }

  /** Ends every call that still waits, or comes later: the service stops. */
  close(): void {
    this.#isClosed = true;
    for (const resolve of this.#open.values()) resolve({ status: 503, json: undefined });
    this.#open.clear();
  }
}
