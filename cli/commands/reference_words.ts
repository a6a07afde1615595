/**
 * Words of the reference that need no better form: they print what `zerotier-cli` prints.
 * @module
 */
import { type Call, command, type CommandSpec } from "../command.ts";
import { runZerotierCli } from "./compat.ts";
import { homeOf, requireService } from "./context.ts";
import { compatEnvironment } from "./personality.ts";

/** Runs a command of the reference with the switches of ours. */
export async function runReferenceWord(call: Call, words: readonly string[]): Promise<number> {
  await requireService(call).call("GET", "/status"); // says what to do where the reference only says what is missing
  const { port, token, json } = call.global;
  const environment = { ...compatEnvironment(call.io, "zt"), defaultHome: homeOf(call).path };
  const switches = [
    ...(port ? [`-p${port}`] : []),
    ...(token ? [`-T${token}`] : []),
    ...(json ? ["-j"] : []),
  ];
  return await runZerotierCli([...switches, ...words], environment);
}

function word(words: string, summary: string, example: string): CommandSpec {
  const name = words.split(" ")[0];
  return command(words, summary)
    .example(example)
    .action((call) => runReferenceWord(call, [name, ...call.args]));
}

/** In the order the help lists them. */
export const referenceWords: CommandSpec[] = [
  word("listnetworks", "The networks joined, in the reference's columns", "zt listnetworks"),
  word("listpeers", "The peers, in the reference's columns", "zt listpeers"),
  word(
    "get <network> <property>",
    "One property of a network, e.g. ip4",
    "zt get 8056c2e21c000001 ip4",
  ),
  word(
    "set <network> <property=value>",
    "Allow a network more or less: allowManaged, allowGlobal, allowDefault, allowDNS",
    "zt set 8056c2e21c000001 allowDefault=1",
  ),
  word("listmoons", "The moons in use", "zt listmoons"),
  word("orbit <moon> <seed>", "Use a moon", "zt orbit 8056c2e21c 8056c2e21c"),
  word("deorbit <moon>", "Use a moon no more", "zt deorbit 8056c2e21c"),
  word("dump", "Write zerotier_dump.txt for whoever helps", "zt dump"),
  word("listbonds", "The bonds of this node", "zt listbonds").hidden(),
];
