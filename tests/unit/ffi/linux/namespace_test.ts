import { equal, notEqual, throws } from "node:assert/strict";
import { Namespace } from "../../../../ffi/linux/namespace.ts";
import { openUdp } from "../../../../ffi/linux/udp.ts";
import { namespaceTest } from "../privileged.ts";

const ip = Uint8Array.of(127, 0, 0, 1);

async function namespaceOf(child: Deno.ChildProcess): Promise<string> {
  return new TextDecoder().decode((await child.output()).stdout).trim();
}

namespaceTest("Namespace.run() opens sockets inside and comes back", () => {
  const namespace = Namespace.create();
  const outside = openUdp({ ip, port: 0 });
  const inside = namespace.run(() => openUdp({ ip, port: outside.port })); // free there
  throws(() => openUdp({ ip, port: outside.port }), /EADDRINUSE/);
  inside.close();
  outside.close();
  namespace.close();
});

namespaceTest("Namespace.run() comes back when the function throws, and refuses async ones", () => {
  const namespace = Namespace.create();
  const outside = openUdp({ ip, port: 0 });
  throws(() =>
    namespace.run(() => {
      throw new RangeError("inside");
    }), /inside/);
  throws(() => openUdp({ ip, port: outside.port }), /EADDRINUSE/);
  throws(() => namespace.run(async () => {}), /synchronous/);
  throws(() => openUdp({ ip, port: outside.port }), /EADDRINUSE/);
  outside.close();
  namespace.close();
});

namespaceTest(
  "Namespace.spawn() starts the child inside, the next one is outside again",
  async () => {
    const namespace = Namespace.create();
    const options: Deno.CommandOptions = { args: ["/proc/self/ns/net"], stdout: "piped" };
    const inside = await namespaceOf(namespace.spawn("readlink", options));
    const outside = await namespaceOf(new Deno.Command("readlink", options).spawn());
    const own = Namespace.current();
    equal(await namespaceOf(own.spawn("readlink", options)), outside);
    notEqual(inside, outside);
    own.close();
    namespace.close();
  },
);
