/**
 * `zt completion`: what a shell needs to complete our words. The shells only ask; the answers come
 * from the commands as they are declared, and from the service for networks and members.
 * @module
 */
import { parseNetworkId } from "../../lib/base/ids.ts";
import { UsageError } from "../../lib/base/errors.ts";
import { ApiClient } from "../api/client.ts";
import {
  type Call,
  command,
  type CommandSpec,
  GLOBAL_OPTIONS,
  type OptionSpec,
} from "../command.ts";
import { Home } from "../engine/home.ts";
import { readPort, readToken } from "../engine/home_files.ts";
import { isObject, type Json, parseJson } from "../engine/json.ts";

const ASK_PATIENCE_MS = 500; // somebody waits with a finger on the key

const SCRIPTS: Record<string, string> = {
  bash: `_zt() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do COMPREPLY+=("\${line%%$'\\t'*}"); done < <(
    "\${COMP_WORDS[0]}" complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null
  )
}
complete -o default -F _zt zt
`,
  zsh: `#compdef zt
_zt() {
  local value summary
  local -a found
  while IFS=$'\\t' read -r value summary; do found+=("\${value//:/\\\\:}:$summary"); done < <(
    "\${words[1]}" complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null
  )
  if (( $#found )); then _describe zt found; else _files; fi
}
compdef _zt zt
`,
  fish: `function __zt_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l found ($words[1] complete -- $words[2..-1] 2>/dev/null)
  if set -q found[1]
    printf '%s\\n' $found
  else
    __fish_complete_path $words[-1]
  end
end
complete -c zt -f -a '(__zt_complete)'
`,
};

/** One word that may come next. */
export interface Candidate {
  word: string;
  /** Shown beside it where the shell can. */
  summary: string;
}

const HELP: Candidate = { word: "help", summary: "print help" };

/** `zt completion`. */
export const completion = command(
  "completion <shell>",
  "Print what lets bash, zsh or fish complete our words",
)
  .example("zt completion bash > /etc/bash_completion.d/zt")
  .example("zt completion zsh > /usr/local/share/zsh/site-functions/_zt")
  .example("zt completion fish > ~/.config/fish/completions/zt.fish")
  .action((call) => {
    const shell = call.argument(0);
    if (!Object.hasOwn(SCRIPTS, shell)) {
      throw new UsageError(`the shell must be one of ${Object.keys(SCRIPTS).join(", ")}`);
    }
    call.io.out(SCRIPTS[shell]);
  });

/** What the scripts call. @param commands Those of the program */
export function completer(commands: () => readonly CommandSpec[]): CommandSpec {
  return command("complete [words...]", "What may come next; for the shells")
    .example("zt complete -- controller net")
    .hidden()
    .action(async (call: Call) => {
      const found = await candidates(commands(), call.args, askService);
      call.io.out(found.map(({ word, summary }) => `${word}\t${summary}\n`).join(""));
    });
}

/** Asks the service the words are about. @returns undefined when it does not answer */
export type Ask = (typed: Typed, path: string) => Promise<Json | undefined>;

/**
 * Asks whoever may know what may come next.
 * @param words As typed after the program's name; the last is what is to be completed, "" when it has not begun
 * @returns what may stand in its place, in the order the help has
 */
export async function candidates(
  commands: readonly CommandSpec[],
  words: readonly string[],
  ask: Ask,
): Promise<Candidate[]> {
  // What can be called can be asked about.
  if (words.length > 1 && words[0] === HELP.word) return candidates(commands, words.slice(1), ask);
  const begun = words.at(-1) ?? "";
  const typed = read(commands, words.slice(0, -1));
  if (typed.awaitsValue) return [];
  const options = [...(typed.spec?.options ?? []), ...GLOBAL_OPTIONS].flatMap(longestFlag);
  const found = begun.startsWith("-")
    ? options
    : [...commandsAfter(typed), ...await argumentsOf(typed, ask)];
  return found.filter(({ word }) => word.startsWith(begun));
}

/** What has been typed before the word to be completed. */
interface Typed {
  /** The command named so far, and those below it. */
  spec?: CommandSpec;
  inner: readonly CommandSpec[];
  /** Names of the commands, from the first. */
  path: string[];
  /** Words after the command's name that are no options. */
  args: string[];
  /** Values of -D, -p and -T. */
  globals: Map<string, string>;
  /** The last word is an option that takes what follows. */
  awaitsValue: boolean;
}

function read(commands: readonly CommandSpec[], words: readonly string[]): Typed {
  const typed: Typed = {
    inner: commands,
    path: [],
    args: [],
    globals: new Map(),
    awaitsValue: false,
  };
  let flag = "";
  for (const word of words) {
    if (typed.awaitsValue) {
      typed.globals.set(flag, word);
      typed.awaitsValue = false;
    } else if (word.startsWith("-")) {
      flag = word;
      typed.awaitsValue = takesValue(typed, word);
    } else step(typed, word);
  }
  return typed;
}

function step(typed: Typed, word: string): void {
  const found = typed.args.length === 0 &&
    typed.inner.find(({ name, aliases }) => name === word || aliases.includes(word));
  if (!found) return void typed.args.push(word);
  typed.spec = found;
  typed.inner = found.commands;
  typed.path.push(found.name);
}

function takesValue({ spec }: Typed, word: string): boolean {
  const options = [...(spec?.options ?? []), ...GLOBAL_OPTIONS];
  return options.some(({ flags }) => flags.includes("<") && flags.split(/[ ,]+/).includes(word));
}

/** None once a word stood there that names no command. */
function commandsAfter({ args, inner, path }: Typed): Candidate[] {
  if (args.length > 0) return [];
  const visible = inner.filter(({ isHidden }) => !isHidden)
    .map(({ name, summary }) => ({ word: name, summary }));
  return path.length === 0 ? [...visible, HELP] : visible;
}

/** "-j, --json" is completed as "--json". */
function longestFlag({ flags, description }: OptionSpec): Candidate[] {
  const word = flags.split(/[ ,]+/).filter((part) => part.startsWith("-")).at(-1);
  return word === undefined ? [] : [{ word, summary: description }];
}

/**
 * What stands in the help as "<network>", "<member>" or "<peer>" is looked up, the names of shells
 * and commands are known.
 */
async function argumentsOf(typed: Typed, ask: Ask): Promise<Candidate[]> {
  const kinds = typed.spec?.words.split(" ").slice(1) ?? [];
  const kind = kinds[Math.min(typed.args.length, kinds.length - 1)] ?? "";
  const isController = typed.path[0] === "controller";
  switch (kind.replace(/[^a-z]/g, "")) {
    case "network":
      return ids(await ask(typed, isController ? "/controller/network" : "/network"));
    case "member":
    case "members": {
      const id = parseNetworkId(typed.args[0]) === undefined ? undefined : typed.args[0];
      return id ? ids(await ask(typed, `/controller/network/${id}/member`)) : [];
    }
    case "peer":
      return bondedPeers(await ask(typed, "/peer"));
    case "shell":
      return Object.keys(SCRIPTS).map((word) => ({ word, summary: "" }));
    default:
      return [];
  }
}

/** Only commands about bonds take a peer. */
function bondedPeers(answer: Json | undefined): Candidate[] {
  if (!Array.isArray(answer)) return [];
  return answer.filter(isObject).filter(({ isBonded }) => isBonded === true)
    .map(({ address, bondingPolicyStr }) => ({
      word: String(address),
      summary: String(bondingPolicyStr),
    }));
}

/** Ids of a list of ids, a list of networks, or an object by id. */
function ids(answer: Json | undefined): Candidate[] {
  if (isObject(answer)) return Object.keys(answer).map((word) => ({ word, summary: "" }));
  if (!Array.isArray(answer)) return [];
  return answer.flatMap((one) => {
    if (typeof one === "string") return [{ word: one, summary: "" }];
    if (!isObject(one) || typeof one.nwid !== "string") return [];
    return [{ word: one.nwid, summary: typeof one.name === "string" ? one.name : "" }];
  });
}

async function askService({ globals }: Typed, path: string): Promise<Json | undefined> {
  try {
    const home = new Home(globals.get("-D") ?? Home.defaultPath());
    const port = Number(globals.get("-p")) || readPort(home);
    const token = globals.get("-T") ?? readToken(home, "authtoken.secret");
    if (!port || !token) return undefined;
    const client = new ApiClient({ host: "127.0.0.1", port, token });
    const reply = await client.send("GET", path, undefined, ASK_PATIENCE_MS);
    return reply.status === 200 ? parseJson(reply.text) : undefined;
  } catch {
    return undefined; // whatever is wrong: a shell is no place to say so
  }
}
