/**
 * Words of the reference that need no better form: they print what `zerotier-cli` prints.
 * @module
 */
import { ApiError, UsageError } from "../../lib/base/errors.ts";
import { type Call, command, type CommandSpec } from "../command.ts";
import { type Json, parseJson } from "../engine/json.ts";
import { runZerotierCli, SETTINGS } from "./compat.ts";
import { addressOf, homeOf, networkIdOf, render, requireService } from "./context.ts";
import { compatEnvironment } from "./personality.ts";

/** What a word prints, as JSON. */
type ToJson = (out: string, args: readonly string[]) => Json;

/**
 * Runs a command of the reference with the switches of ours.
 * @throws {ApiError} when it fails, in our form
 */
export async function runReferenceWord(
  call: Call,
  words: readonly string[],
  toJson: ToJson = asJson,
): Promise<void> {
  await requireService(call).call("GET", "/status"); // says what to do where the reference only says what is missing
  const { port, token, json } = call.global;
  const said = { out: "", err: "" };
  const io = {
    out: (text: string) => void (said.out += text),
    err: (text: string) => void (said.err += text),
  };
  const environment = { ...compatEnvironment(io, "zt"), defaultHome: homeOf(call).path };
  const switches = [
    ...(port ? [`-p${port}`] : []),
    ...(token ? [`-T${token}`] : []),
    ...(json ? ["-j"] : []),
  ];
  const exitCode = await runZerotierCli([...switches, ...words], environment);
  // Some refusals of the reference are nothing but a line of complaint, and 0.
  if (exitCode === 0 && said.err === "") {
    const out = said.out.trimEnd();
    return render(call, json ? toJson(out, words.slice(1)) : null, () => `${out}\n`);
  }
  const complaint = (said.err || said.out).trim();
  const status = Number(/^\d{3}\b/.exec(complaint)?.[0] ?? 0);
  throw new ApiError(status, status === 0 ? complaint : `the service answered ${complaint}`);
}

/** Most of what the reference prints with -j is JSON. */
function asJson(out: string): Json {
  try {
    return parseJson(out);
  } catch {
    return { text: out };
  }
}

interface WordOptions {
  /** Throws a {@linkcode UsageError} for words the reference would pass over in silence. */
  check?: (args: readonly string[]) => void;
  toJson?: ToJson;
}

function word(
  words: string,
  summary: string,
  example: string,
  { check = () => {}, toJson }: WordOptions = {},
): CommandSpec {
  const name = words.split(" ")[0];
  return command(words, summary)
    .example(example)
    .action((call) => {
      check(call.args);
      return runReferenceWord(call, [name, ...call.args], toJson);
    });
}

function checkNetwork([network]: readonly string[]): void {
  networkIdOf(network);
}

function checkAssignment(args: readonly string[]): void {
  checkNetwork(args);
  const isSetting = /^(\w+)=([01]|true|false)$/.exec(args[1]);
  if (isSetting && SETTINGS.has(isSetting[1])) return;
  throw new UsageError(
    `"${args[1]}" is none of ${[...SETTINGS].map((name) => `${name}=0|1`).join(", ")}`,
  );
}

function checkMoons(args: readonly string[]): void {
  for (const moon of args) addressOf(moon);
}

/** In the order the help lists them. */
export const referenceWords: CommandSpec[] = [
  word("listnetworks", "The networks joined, in the reference's columns", "zt listnetworks"),
  word("listpeers", "The peers, in the reference's columns", "zt listpeers"),
  word(
    "get <network> <property>",
    "One property of a network, e.g. ip4",
    "zt get 8056c2e21c000001 ip4",
    { check: checkNetwork, toJson: (value, [, property]) => ({ [property]: value }) },
  ),
  word(
    "set <network> <property=value>",
    "Allow a network more or less: allowManaged, allowGlobal, allowDefault, allowDNS",
    "zt set 8056c2e21c000001 allowDefault=1",
    { check: checkAssignment },
  ),
  word("listmoons", "The moons in use", "zt listmoons"),
  word("orbit <moon> <seed>", "Use a moon", "zt orbit 8056c2e21c 8056c2e21c", {
    check: checkMoons,
    toJson: () => ({ result: true }),
  }),
  word("deorbit <moon>", "Use a moon no more", "zt deorbit 8056c2e21c", { check: checkMoons }),
  word("dump", "Write zerotier_dump.txt for whoever helps", "zt dump", {
    toJson: (out) => ({ written: out.replace(/^.*: (?=\/)/, "") }),
  }),
  word("listbonds", "The bonds of this node", "zt listbonds").hidden(),
];
