/**
 * Entry of the data Worker: waits for its setup, runs the loop until told to stop. Nothing it imports may await at
 * the top level, or the setup message would be lost.
 *
 * Source: spec 07 section 3 "Lost first message".
 * @module
 */
import { DataLoop, type DataSetup } from "./data_loop.ts";

/** What the Worker says: there is something in the ring, or it has left the loop. */
export type WorkerWord = "wake" | "stopped";

interface WorkerScope {
  onmessage: ((event: MessageEvent<DataSetup>) => void) | null;
  postMessage(word: WorkerWord): void;
  close(): void;
}

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = (event) => {
  new DataLoop(event.data, () => scope.postMessage("wake")).run();
  scope.postMessage("stopped");
  scope.close();
};
