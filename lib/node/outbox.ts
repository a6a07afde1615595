/**
 * Actions waiting to be polled, in order.
 * @module
 */
import type { Action } from "./machine.ts";

export class Outbox {
  #actions: Action[] = [];
  #next = 0;

  push(action: Action): void {
    this.#actions.push(action);
  }

  poll(): Action | undefined {
    if (this.#next === this.#actions.length) {
      if (this.#next > 0) {
        this.#actions = [];
        this.#next = 0;
      }
      return undefined;
    }
    return this.#actions[this.#next++];
  }
}
