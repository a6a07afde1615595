import { equal, match, notEqual, ok } from "node:assert/strict";
import { LabNode, type LabService, type Said } from "../../cli/engine/demo/lab_node.ts";
import {
  createNetwork,
  createPlanet,
  endToEndTest,
  joinNetwork,
  networkOf,
  PROGRAM,
  Stage,
} from "./stage.ts";

const SETPRIV = "/usr/bin/setpriv"; // takes capabilities away
const MOUNT = "/usr/bin/mount";
const STILL_LOOKS = 3; // so often nothing must have been given back
const REPLACED_MS = 300; // a file is replaced in less: written beside the old one, and renamed

/** One root with a network, on a host of its own, that all tests may ask and none may end. */
interface Rooted {
  readonly stage: Stage;
  readonly root: LabNode;
  readonly service: LabService;
  readonly world: string;
  readonly id: string;
}

let made: Promise<Rooted> | undefined;

function rooted(): Promise<Rooted> {
  return made ??= makeRooted();
}

async function makeRooted(): Promise<Rooted> {
  const stage = new Stage("refusals", ["root", "other"]);
  const root = stage.node("root");
  const world = await createPlanet(stage, root);
  const service = root.start();
  await service.ready();
  const id = await createNetwork(root, "--public", "--ipv4", "10.9.9.0/24");
  return { stage, root, service, world, id };
}

/** It said one line, no stack, and exited so. */
function refused(said: Said, code: number, line: RegExp): void {
  equal(said.out, "");
  match(said.err, line);
  equal(said.err.trimEnd().split("\n").length, 1, said.err);
  equal(said.code, code);
}

/** The same for a service, which may have told of its start before. */
async function serviceRefused(service: LabService, line: RegExp): Promise<void> {
  equal(await service.ended(), 1);
  const complaints = service.log.filter((one) => one.startsWith("zt: "));
  equal(complaints.length, 1, service.log.join("\n"));
  match(complaints[0], line);
}

endToEndTest("a wrong token is refused in one line, exit 1", async () => {
  const { root } = await rooted();
  refused(await root.say("-T", "wrong", "info"), 1, /refused the token; check -D or -T/);
});

endToEndTest("a network id or an address of the wrong length is wrong usage, exit 2", async () => {
  const { root, id } = await rooted();
  refused(await root.say("join", "8056c2e21c"), 2, /"8056c2e21c" is not a network id/);
  refused(await root.say("leave", `${id}0`), 2, /is not a network id/);
  refused(
    await root.say("controller", "member", "authorize", id, "123"),
    2,
    /"123" is not an address/,
  );
});

endToEndTest("a command without a service says how to start one, exit 1", async () => {
  const { stage } = await rooted();
  const never = stage.node("other", "never-started");
  refused(await never.say("info"), 1, /no service has run .* start one with: zt service/);
});

endToEndTest("a second service on one home is refused, and the first goes on", async () => {
  const { root, service } = await rooted();
  await serviceRefused(root.start(), /a service is already running on .*zt service --stop/);
  await serviceRefused(root.start("-p", "9994"), /a service is already running/);
  equal((await root.say("info")).code, 0);
  equal(service.log.some((line) => line.startsWith("zt: ")), false);
});

endToEndTest("a port in use is refused in one line, exit 1", async () => {
  const { stage, root } = await rooted();
  const second = stage.node("root", "second");
  await serviceRefused(second.start(), /9993 failed: EADDRINUSE/);
  equal((await root.say("info")).code, 0);
});

endToEndTest(
  "without permission for TAPs the network says so and the service goes on",
  async () => {
    const { stage, world, id } = await rooted();
    const before = ["--bounding-set=-net_admin", PROGRAM.path, ...PROGRAM.args];
    const node = new LabNode(
      stage.lab,
      stage.host("other"),
      stage.node("other", "no-tap").home,
      { path: SETPRIV, args: before },
    );
    await node.do("planet", "use", world);
    const service = node.start();
    await service.online();
    const { code, err } = await node.say("join", id, "--wait", "--timeout", "3");
    equal(code, 3);
    match(err, /virtual interface could not be made/);
    const seen = await networkOf(node, id);
    equal(seen?.status, "PORT_ERROR");
    notEqual(seen?.portError, 0);
    const complaints = service.log.filter((line) => /EPERM/.test(line));
    ok(complaints.length > 0, service.log.join("\n"));
    match(complaints[0], /run as root, or give the binary cap_net_admin/);
    equal((await node.ask<unknown[]>("peers")).length, 1);
    await node.do("leave", id);
    equal(await service.stop(), 0);
  },
  SETPRIV,
);

endToEndTest("a torn identity keeps the service from starting and is left as it is", async () => {
  const { stage } = await rooted();
  const node = stage.node("other", "torn-identity");
  Deno.mkdirSync(node.home, { recursive: true });
  const path = `${node.home}/identity.secret`;
  const torn = "89e92ceee5:0:97a3b0";
  Deno.writeTextFileSync(path, torn);
  await serviceRefused(node.start(), /identity\.secret is damaged or not an identity/);
  equal(Deno.readTextFileSync(path), torn);
});

endToEndTest("a torn planet is set aside, whole, and said", async () => {
  const { stage } = await rooted();
  const node = stage.node("other", "torn-planet");
  Deno.mkdirSync(node.home, { recursive: true });
  const torn = Uint8Array.of(1, 0, 0, 0, 0, 8, 234, 201);
  Deno.writeFileSync(`${node.home}/planet`, torn);
  const service = node.start();
  await service.ready();
  ok(service.log.some((line) => /planet: is not a planet; set aside as planet\.bad-1/.test(line)));
  equal(Deno.readFileSync(`${node.home}/planet.bad-1`).join(), torn.join());
  await service.stop();
});

endToEndTest("a torn network file does not keep the network from coming up", async () => {
  const { stage, world, id } = await rooted();
  const node = stage.node("other", "torn-network");
  await node.do("planet", "use", world);
  Deno.mkdirSync(`${node.home}/networks.d`, { recursive: true });
  Deno.writeTextFileSync(`${node.home}/networks.d/${id}.conf`, "nwid=zzz\nr=1\nC=\\0\\0");
  const service = node.start();
  await service.online();
  ok(service.log.some((line) => /\.conf: is not .*; set aside as .*\.bad-1/.test(line)));
  match(await joinNetwork(node, id), /^10\.9\.9\./);
  await service.stop();
});

endToEndTest(
  "a local.conf broken while the service runs is said, and changes nothing",
  async () => {
    const { stage, world } = await rooted();
    const node = stage.node("other", "broken-conf");
    await node.do("planet", "use", world);
    const service = node.start();
    await service.online();
    Deno.writeTextFileSync(`${node.home}/local.conf`, '{"settings":');
    await service.waitFor(
      /local\.conf is not JSON: .*; the settings from before stay in force/,
      10_000,
    );
    match(await node.do("info"), /^state +online$/m);
    equal(await node.do("service", "--stop"), "the service has ended\n");
    equal(await service.ended(), 0);
  },
);

endToEndTest("a home folder that cannot be one is refused in one line, exit 1", async () => {
  const { stage } = await rooted();
  const inFile = stage.node("other", "torn-identity/identity.secret");
  await serviceRefused(inFile.start(), /cannot make the home folder .*: [^']+$/);
  refused(await inFile.say("info"), 1, /cannot read .*: Not a directory/);
});

/** A small disk of its own under a home folder. */
async function withSmallDisk(node: LabNode, use: () => Promise<void>): Promise<void> {
  const run = (path: string, ...args: string[]) => new Deno.Command(path, { args }).output();
  Deno.mkdirSync(node.home, { recursive: true });
  ok((await run(MOUNT, "-t", "tmpfs", "-o", "size=512k", "tmpfs", node.home)).success);
  try {
    await use();
  } finally {
    await run("/usr/bin/umount", "--lazy", node.home);
  }
}

/** Takes what is left of a disk, also what files give back that are just being replaced. */
async function fillUp(path: string): Promise<void> {
  for (let looks = 0; looks < STILL_LOOKS;) {
    looks = fill(path) === 0 ? looks + 1 : 0;
    await new Promise((resolve) => setTimeout(resolve, REPLACED_MS));
  }
}

/** To the last page. @returns how many bytes there were left */
function fill(path: string): number {
  using file = Deno.openSync(path, { append: true, create: true });
  let bytes = 0;
  try {
    for (;;) bytes += file.writeSync(new Uint8Array(4_096));
  } catch (error) {
    match(String(error), /No space left/);
    return bytes;
  }
}

endToEndTest("a full disk refuses what must be kept, and the service goes on", async () => {
  const { stage, world, id } = await rooted();
  const node = stage.node("other", "full");
  await withSmallDisk(node, async () => {
    fill(`${node.home}/filling`);
    await serviceRefused(node.start(), /cannot write .*authtoken\.secret: No space left/);
    refused(await node.say("planet", "use", world), 1, /cannot write .*planet: No space left/);
    Deno.removeSync(`${node.home}/filling`);

    await node.do("planet", "use", world);
    const service = node.start();
    await service.online();
    await joinNetwork(node, id);
    const identity = Deno.readTextFileSync(`${node.home}/identity.secret`);
    await fillUp(`${node.home}/filling`);
    refused(await node.say("join", `${id.slice(0, -1)}0`), 1, /local\.conf: No space left/);
    refused(await node.say("controller", "network", "create"), 1, /ENOSPC .*free some disk/);
    equal((await networkOf(node, id))?.status, "OK");
    equal(await service.stop(), 0);

    const again = node.start();
    await again.online();
    equal((await networkOf(node, id))?.status, "OK");
    Deno.removeSync(`${node.home}/filling`);
    await node.do("controller", "network", "create");
    equal(Deno.readTextFileSync(`${node.home}/identity.secret`), identity);
    equal(await again.stop(), 0);
  });
}, MOUNT);

endToEndTest("a read-only home is refused in one line, exit 1", async () => {
  const { stage } = await rooted();
  const node = stage.node("other", "read-only");
  await withSmallDisk(node, async () => {
    await createPlanet(stage, node);
    const remount = { args: ["-o", "remount,ro", node.home] };
    ok((await new Deno.Command(MOUNT, remount).output()).success);
    await serviceRefused(node.start(), /cannot use the home folder .*: Read-only file system/);
    const { code, err } = await node.say("service", "--background");
    equal(code, 1);
    match(err, /zt: cannot write .*service\.log: Read-only file system[^\n]*\n$/);
    refused(await node.say("planet", "sign"), 1, /cannot write .*: Read-only file system/);
  });
}, MOUNT);

/** Another user on a machine whose service is root's: $1 is the program, the rest its words. */
const AS_NOBODY = `
  mount --make-rprivate / && mount -t tmpfs tmpfs /var/lib && mkdir -m 700 /var/lib/zt &&
  exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"`;

endToEndTest("a user who has no service hears that the machine's is root's", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "zt-user-" });
  try {
    Deno.chmodSync(folder, 0o755);
    Deno.copyFileSync(PROGRAM.path, `${folder}/zt`);
    for (const words of [["info"], ["join", "8056c2e21c000001"], ["listpeers"]]) {
      const { code, stdout, stderr } = await new Deno.Command("unshare", {
        args: ["--mount", "sh", "-c", AS_NOBODY, "sh", `${folder}/zt`, ...words],
        env: { HOME: `${folder}/home`, XDG_STATE_HOME: "" },
        cwd: folder,
      }).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      const said = { code, out: text(stdout), err: text(stderr) };
      refused(said, 1, /service of this machine, on \/var\/lib\/zt, is root's; try again as root/);
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}, PROGRAM.args.length === 0 ? SETPRIV : "a compiled program");
