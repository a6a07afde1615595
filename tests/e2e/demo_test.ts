import { equal, match, ok } from "node:assert/strict";
import { linesOf } from "../../cli/engine/demo/lines.ts";
import { endToEndTest, FOLDER, PROGRAM } from "./stage.ts";

/** `zt demo` with its temporary folders below ours, so that what it leaves can be seen. */
function demo(tmp: string, ...options: string[]): Deno.Command {
  Deno.mkdirSync(tmp, { recursive: true });
  return new Deno.Command(PROGRAM.path, {
    args: [...PROGRAM.args, "demo", ...options],
    env: { TMPDIR: tmp },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

/** Homes left behind, and processes that still use one. */
function leftovers(tmp: string): string[] {
  const found = [...Deno.readDirSync(tmp)].map(({ name }) => name)
    .filter((name) => name.startsWith("zt-")); // the compiled runtime caches code there
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (Deno.readTextFileSync(`/proc/${name}/cmdline`).includes(`${tmp}/zt-demo-`)) {
        found.push(`process ${name}`);
      }
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

for (const path of ["direct", "relayed"]) {
  endToEndTest(`zt demo --json measures a ${path} path and leaves nothing behind`, async () => {
    const tmp = `${FOLDER}/demo-${path}`;
    const how = path === "relayed" ? ["--relayed"] : [];
    const { code, stdout, stderr } = await demo(tmp, "--json", "--seconds", "1", ...how).output();
    equal(code, 0, decode(stderr));
    const result = JSON.parse(decode(stdout));
    const times = [
      result.onlineMs,
      result.boundToOnlineMs,
      result.joinToPingMs,
      result.freshStartToPingMs,
      result.rttMs.p50,
      result.rttMs.p99,
      result.throughputMbps,
    ];
    for (const time of times) ok(time > 0 && Number.isFinite(time), decode(stdout));
    ok(result.boundToOnlineMs <= result.onlineMs);
    ok(result.rttMs.p50 <= result.rttMs.p99);
    equal(result.path, path);
    equal(decode(stderr).includes("\x1b"), false); // no terminal: plain lines
    equal(leftovers(tmp).join(), "");
  });
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  endToEndTest(`zt demo leaves nothing behind when ${signal} ends it`, async () => {
    const tmp = `${FOLDER}/demo-${signal}`;
    const child = demo(tmp).spawn();
    const lines: string[] = [];
    for await (const line of linesOf(child.stderr)) {
      lines.push(line);
      // By then a root, a controller, two agents and a node run, and a second node is on its way.
      if (line.startsWith("the second node starts")) child.kill(signal);
    }
    await child.stdout.cancel();
    equal((await child.status).code, 1);
    match(lines.at(-1)!, /^zt: interrupted/);
    equal(leftovers(tmp).join(), "");
  });
}

endToEndTest("zt demo refuses numbers that make no sense, exit 2", async () => {
  const tmp = `${FOLDER}/demo-usage`;
  for (const options of [["--repeat", "0"], ["--repeat", "x"], ["--seconds", "-1"]]) {
    const { code, stderr } = await demo(tmp, ...options).output();
    equal(code, 2);
    match(decode(stderr), new RegExp(`^zt: ${options[0]} must be`));
  }
});

const NOBODY = 65_534;
/**
 * As a user with nothing but a device anybody may open, which is what most systems have: $1 an
 * empty folder, then the words.
 */
const AS_NOBODY = `
  mount --make-rprivate / && mount -t tmpfs tmpfs "$1" && mknod -m 666 "$1/tun" c 10 200 &&
  mount --bind "$1/tun" /dev/net/tun && shift &&
  exec setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups "$@"`;

/** The source and its cache may lie where only root can read. */
const rootless = PROGRAM.args.length === 0 ? "/usr/bin/setpriv" : "a compiled program";

endToEndTest("zt demo needs no root where the kernel lets users make namespaces", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "zt-rootless-" });
  try {
    Deno.chmodSync(folder, 0o755);
    Deno.copyFileSync(PROGRAM.path, `${folder}/zt`);
    for (const name of ["device", "home"]) Deno.mkdirSync(`${folder}/${name}`);
    Deno.chownSync(`${folder}/home`, NOBODY, NOBODY);
    const words = [`${folder}/zt`, "demo", "--json", "--seconds", "0.5"];
    const { code, stdout, stderr } = await new Deno.Command("unshare", {
      args: ["--mount", "sh", "-c", AS_NOBODY, "sh", `${folder}/device`, ...words],
      env: { HOME: `${folder}/home`, TMPDIR: `${folder}/home` },
      cwd: folder,
    }).output();
    if (code === 0) equal(JSON.parse(decode(stdout)).path, "direct");
    else match(decode(stderr), /run as root: this kernel does not let users make namespaces/);
    equal(leftovers(`${folder}/home`).join(), "");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}, rootless);
