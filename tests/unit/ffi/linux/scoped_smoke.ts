/**
 * Run by `libc_test.ts` in a process of its own with scoped permissions: a datagram from a socket through both rings
 * and the Worker and back, an error with its errno, and libcrypto if there is one.
 * @module
 */
import { DataPlane } from "../../../../cli/engine/data_plane.ts";
import { hasFastAes } from "../../../../ffi/linux/libcrypto.ts";
import { readTextFile } from "../../../../ffi/linux/system.ts";
import { thisMachine } from "../../../../ffi/mod.ts";
import { randomIdBlock } from "../../../../lib/node/packet_ids.ts";
import { assert, SystemError } from "../../../../lib/base/errors.ts";
import type { Address } from "../../../../lib/base/ids.ts";

const machine = thisMachine();
const ip = Uint8Array.of(127, 0, 0, 1);
const socket = machine.openUdp({ ip, port: 0 });
assert(readTextFile("/proc/self/status").includes("Threads:"), "/proc can be read through libc");
assert(machine.nowMs() > 0, "the clock runs");

const echoed = Promise.withResolvers<number>();
const plane = new DataPlane({
  onDatagram: (_id, _from, bytes) => echoed.resolve(bytes.length),
  onFrame: () => {},
}, {
  self: 1 as Address,
  takeIds: () => randomIdBlock((bytes) => crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>)),
});
plane.start();
plane.addSocket(1, socket.fd);
plane.send(1, { ip, port: socket.port }, new Uint8Array(100));
plane.flush();
const deadline = setTimeout(() => echoed.reject(new Error("no echo: is loopback up?")), 5_000);
const length = await echoed.promise;
clearTimeout(deadline);

let code = "none";
try {
  machine.openUdp({ ip, port: socket.port });
} catch (error) {
  if (error instanceof SystemError) code = error.code;
}
await plane.stop();
socket.close();
console.log(`echoed ${length} bytes, errno ${code}, AES ${hasFastAes()}`);
