/**
 * The names of the reference's programs: called by one of them (a symbolic link), or as `zt
 * zerotier-cli ...`, this program behaves as that one.
 *
 * Source: spec 06 section 1.
 * @module
 */
import { readTextFileIfAny } from "../../ffi/linux/system.ts";
import type { Io } from "../command.ts";
import { Home } from "../engine/home.ts";
import { ANNOUNCED_VERSION } from "../engine/version.ts";
import { type CompatEnvironment, runZerotierCli } from "./compat.ts";
import type { InterfaceInfo } from "./compat_text.ts";

/** Programs of the reference this one can be. */
export type Personality = "zerotier-cli" | "zerotier-idtool" | "zerotier-one";

/** @param programPath argv[0], or the first word */
export function personalityOf(programPath: string): Personality | undefined {
  const name = programPath.slice(programPath.lastIndexOf("/") + 1);
  if (name.includes("zerotier-idtool")) return "zerotier-idtool";
  if (name.includes("zerotier-cli")) return "zerotier-cli";
  return name.includes("zerotier-one") ? "zerotier-one" : undefined;
}

/** Starts the daemon as `zt service` does: its arguments in our words. */
export type RunService = (argv: string[]) => Promise<number>;

/** @returns the exit code */
export async function runPersonality(
  personality: Personality,
  argv: string[],
  io: Io,
  runService: RunService,
): Promise<number> {
  switch (personality) {
    case "zerotier-cli":
      return await runZerotierCli(argv, compatEnvironment(io));
    case "zerotier-idtool": {
      const { runIdTool } = await import("./id_machine.ts");
      return await runIdTool(personality, argv, io);
    }
    case "zerotier-one":
      return await runZerotierOne(argv, io, runService);
  }
}

/** What `zerotier-cli` sees of this machine. */
export function compatEnvironment(io: Io, argv0 = "zerotier-cli"): CompatEnvironment {
  return {
    io,
    argv0,
    defaultHome: defaultHome(),
    userToken,
    nowMs: Date.now,
    interfaces,
    writeFile: (name, content) => {
      const path = `${Deno.cwd()}/${name}`;
      Deno.writeTextFileSync(path, content);
      return path;
    },
  };
}

function defaultHome(): string {
  return Deno.env.get("ZEROTIER_HOME") || Home.defaultPath();
}

/** A copy of the token users of the reference keep in their own folder. */
function userToken(): string | undefined {
  try {
    return Deno.readTextFileSync(`${Deno.env.get("HOME")}/.zeroTierOneAuthToken`).trim() ||
      undefined;
  } catch {
    return undefined;
  }
}

function interfaces(): InterfaceInfo[] {
  const found = new Map<string, InterfaceInfo>();
  for (const { name, mac, address } of Deno.networkInterfaces()) {
    if (name === "lo") continue;
    const known = found.get(name) ?? { name, mtu: mtuOf(name), mac, addresses: [] };
    known.addresses.push(address);
    found.set(name, known);
  }
  return [...found.values()];
}

/** Deno does not tell it, and reads `/sys` only with all permissions. */
function mtuOf(name: string): number {
  return Number(readTextFileIfAny(`/sys/class/net/${name}/mtu`) ?? 0);
}

/** The daemon's switches (spec 06 section 1.1): values are attached, anything odd prints help. */
async function runZerotierOne(argv: string[], io: Io, runService: RunService): Promise<number> {
  const serviceArgs: string[] = [];
  let home: string | undefined;
  for (const [index, word] of argv.entries()) {
    const value = word.slice(2);
    if (!word.startsWith("-")) {
      if (home !== undefined) return help(io, 0);
      home = word;
    } else if (word === "-v") {
      io.out(`${ANNOUNCED_VERSION.text}\n`);
      return 0;
    } else if (word === "-q" || word === "-i") {
      const tool = word === "-q" ? "zerotier-cli" : "zerotier-idtool";
      return await runPersonality(tool, argv.slice(index + 1), io, runService);
    } else if (word === "-d") {
      serviceArgs.push("--background");
    } else if (word.startsWith("-p") && /^\d{1,5}$/.test(value) && Number(value) <= 65_535) {
      serviceArgs.push("-p", value);
    } else if (word !== "-U") { // we never drop privileges by ourselves
      return help(io, word.startsWith("-p") ? 1 : 0);
    }
  }
  return await runService(["service", "-D", home ?? defaultHome(), ...serviceArgs]);
}

function help(io: Io, exit: number): number {
  io.out(`Usage: zerotier-one [-switches] [home folder]

Runs the node, as the reference's daemon does. "zt service" has more comfort.

  -h  help    -v  version    -p<port>  UDP and API port, 0 for any (9993)
  -U  accepted, changes nothing    -d  in the background    -i  zerotier-idtool    -q  zerotier-cli
`);
  return exit;
}
