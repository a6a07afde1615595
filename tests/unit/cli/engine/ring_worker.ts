/**
 * Run by `ring_test.ts` in a Worker: writes records of changing length into a ring, waiting while it is full.
 * @module
 */
import { RingWriter } from "../../../../cli/engine/ring.ts";

interface Start {
  readonly memory: SharedArrayBuffer;
  readonly count: number;
}

const scope = globalThis as unknown as Worker;

scope.onmessage = (event: MessageEvent<Start>) => {
  const ring = new RingWriter(event.data.memory);
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let i = 0; i < event.data.count; i++) {
    const record = new Uint8Array(4 + (i * 37) % 200).fill(i & 0xff);
    new DataView(record.buffer).setUint32(0, i);
    while (!ring.push(record)) Atomics.wait(pause, 0, 0, 1);
    if (ring.mustWake()) scope.postMessage("wake");
  }
};
