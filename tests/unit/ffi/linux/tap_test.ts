import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { Block } from "../../../../ffi/linux/block.ts";
import { libc } from "../../../../ffi/linux/libc.ts";
import { LinuxSettings } from "../../../../ffi/linux/settings.ts";
import { Namespace } from "../../../../ffi/linux/namespace.ts";
import { POLLIN, PollSet } from "../../../../ffi/linux/system.ts";
import { deviceExists, openTap, tapWrite } from "../../../../ffi/linux/tap.ts";
import type { Mac } from "../../../../lib/base/ids.ts";
import { parsePrefix } from "../../../../lib/base/ip.ts";
import { tapTest } from "../privileged.ts";

const MAC = 0x02_10_20_30_40_50 as Mac;
const OPTIONS = { name: "zttest0", mac: MAC, mtu: 2800 };

/** Reads frames until one satisfies `wanted`. */
function readUntil(fd: number, wanted: (frame: Uint8Array) => boolean): Uint8Array {
  const poll = new PollSet(1);
  poll.set([fd]);
  const block = new Block(10_240);
  for (let frames = 0; frames < 100; frames++) {
    ok(poll.wait(5000) > 0 && poll.events(0) === POLLIN, "a frame comes");
    const length = libc().read(fd, block.address, 10_240n);
    const frame = block.bytes.slice(0, Math.max(0, length));
    if (wanted(frame)) return frame;
  }
  throw new Error("100 frames came and none was wanted");
}

/** An ARP request of 10.5.0.9 for 10.5.0.1. */
const ARP_REQUEST = Uint8Array.from([
  ...[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 0x08, 0x06],
  ...[0, 1, 0x08, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9, 10, 5, 0, 9, 0, 0, 0, 0, 0, 0, 10, 5, 0, 1],
]);

tapTest("openTap() is a port that is up, with its MAC and MTU; closing removes it", () => {
  const namespace = Namespace.create();
  const settings = namespace.run(() => new LinuxSettings());
  const exists = () => namespace.run(() => deviceExists(OPTIONS.name));
  equal(exists(), false);
  const tap = namespace.run(() => openTap(OPTIONS));
  equal(exists(), true);
  equal(deviceExists(OPTIONS.name), false); // not out here
  const [link] = settings.links().filter((one) => one.index === tap.index);
  deepEqual([link.name, link.mac, link.mtu, link.up, link.kind], [
    "zttest0",
    MAC,
    2800,
    true,
    "tun",
  ]);
  tap.setMtu(1400); // from outside
  deepEqual([tap.mtu, settings.links().find((one) => one.index === tap.index)!.mtu], [1400, 1400]);
  throws(() => tap.setMtu(67), RangeError);
  throws(
    () => namespace.run(() => openTap(OPTIONS)),
    /create network device zttest0 failed: EBUSY/,
  );
  tap.close();
  tap.close();
  equal(exists(), false);
  settings.close();
  namespace.close();
});

tapTest("a frame written into a TAP reaches the system, and its answer can be read", () => {
  const namespace = Namespace.create();
  const settings = namespace.run(() => new LinuxSettings());
  const tap = namespace.run(() => openTap(OPTIONS));
  settings.addAddress(tap.index, parsePrefix("10.5.0.1/24")!);
  equal(tap.write(ARP_REQUEST), true);
  const reply = readUntil(tap.fd, (frame) => frame[12] === 0x08 && frame[13] === 0x06);
  equal(reply[21], 2); // ARP reply
  deepEqual([...reply.subarray(0, 6)], [2, 0, 0, 0, 0, 9]);
  deepEqual([...reply.subarray(6, 12)], [0x02, 0x10, 0x20, 0x30, 0x40, 0x50]);
  deepEqual([...reply.subarray(28, 32)], [10, 5, 0, 1]);
  settings.close();
  tap.close();
  namespace.close();
});

tapTest("with a virtio header each frame is preceded by ten bytes", () => {
  const namespace = Namespace.create();
  const settings = namespace.run(() => new LinuxSettings());
  const tap = namespace.run(() => openTap({ ...OPTIONS, vnetHeader: true }));
  settings.addAddress(tap.index, parsePrefix("10.5.0.1/24")!);
  equal(tap.write(Uint8Array.from([...new Uint8Array(10), ...ARP_REQUEST])), true);
  const reply = readUntil(tap.fd, (frame) => frame[22] === 0x08 && frame[23] === 0x06);
  equal(reply.length >= 10 + 42, true);
  equal(reply[31], 2);
  settings.close();
  tap.close();
  namespace.close();
});

tapTest("tapWrite() of what the system does not take is false", () => {
  const namespace = Namespace.create();
  const tap = namespace.run(() => openTap(OPTIONS));
  equal(tapWrite(tap.fd, new Uint8Array(5)), false); // shorter than a header
  tap.close();
  namespace.close();
});

Deno.test("openTap() refuses a name or an MTU that cannot be", () => {
  throws(() => openTap({ ...OPTIONS, name: "" }), RangeError);
  throws(() => openTap({ ...OPTIONS, name: "sixteen_letters_" }), RangeError);
  throws(() => openTap({ ...OPTIONS, mtu: 20 }), RangeError);
});

tapTest("openTap() without privileges says what to do", async () => {
  const child = await new Deno.Command("setpriv", {
    args: [
      ...["--bounding-set=-net_admin", "--inh-caps=-net_admin", "--"],
      ...[Deno.execPath(), "eval", "--no-lock"],
      `import { openTap } from ${
        JSON.stringify(import.meta.resolve("../../../../ffi/linux/tap.ts"))
      };
       try { openTap({ name: "ztnone", mac: 2, mtu: 1500 }); } catch (error) { console.log(error.message); }`,
    ],
    stdout: "piped",
    stderr: "piped",
  }).output();
  equal(
    new TextDecoder().decode(child.stdout),
    "create network device ztnone failed: EPERM (run as root, or give the binary cap_net_admin)\n",
    new TextDecoder().decode(child.stderr),
  );
});
