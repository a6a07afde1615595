/**
 * Runs a controller's store: hands it what is stored, writes what it asks for, reports what came of it.
 * @module
 */
import type { ControllerAction, ControllerInput } from "../../lib/controller/machine.ts";
import type { ControllerStore } from "../../lib/controller/store.ts";

/** Between one controller and one backend. */
export class StorePump {
  readonly #store: ControllerStore;
  readonly #hand: (input: ControllerInput) => void;
  readonly #onError: (error: Error) => void;

  /**
   * @param hand Hands an input to the controller, then drains its actions
   * @param onError Hears of every write that failed, for the log; the controller has told whoever waited
   */
  constructor(
    store: ControllerStore,
    hand: (input: ControllerInput) => void,
    onError: (error: Error) => void,
  ) {
    this.#store = store;
    this.#hand = hand;
    this.#onError = onError;
  }

  /**
   * Loads everything into the controller; from then on changes made elsewhere follow.
   * @throws {SystemError} when the store cannot be read
   */
  async start(): Promise<void> {
    const early: ControllerInput[] = [];
    let isLoaded = false;
    this.#store.watch((change) => {
      const input: ControllerInput = { kind: "changed", ...change };
      if (isLoaded) this.#hand(input);
      else early.push(input);
    });
    this.#hand({ kind: "load", ...await this.#store.load() });
    isLoaded = true;
    for (const input of early) this.#hand(input);
  }

  /** Performs a "store" action; its outcome comes back as an input. */
  perform(action: ControllerAction & { kind: "store" }): void {
    const { ticket, kind: _, ...write } = action;
    this.#store.write(write).then(
      (result) => this.#hand({ kind: "stored", ticket, ...result }),
      (error: Error) => {
        this.#onError(error);
        this.#hand({ kind: "stored", ticket, result: "failed", message: error.message });
      },
    );
  }
}
