/**
 * Entry of the data Worker: waits for its setup, runs the loop until told to stop. Nothing it imports may await at
 * the top level, or the setup message would be lost.
 *
 * Source: spec 07 section 3 "Lost first message".
 * @module
 */
import { DataLoop, type DataSetup } from "./data_loop.ts";

/** What the Worker says: there is something in the ring, it has left the loop as told, or an error ended it. */
export type WorkerWord = "wake" | "stopped" | { readonly died: string };

interface WorkerScope {
  onmessage: ((event: MessageEvent<DataSetup>) => void) | null;
  postMessage(word: WorkerWord): void;
  close(): void;
}

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = (event) => {
  try {
    new DataLoop(event.data, () => scope.postMessage("wake")).run();
    scope.postMessage("stopped");
  } catch (error) {
    // Said by message rather than thrown: control logs it where the user looks, and starts another Worker.
    scope.postMessage({ died: error instanceof Error ? error.stack ?? error.message : `${error}` });
  }
  scope.close();
};
