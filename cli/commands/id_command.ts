/**
 * `zt id`: identities and moons, by the tool the reference calls `zerotier-idtool`.
 * @module
 */
import { ApiError, SystemError } from "../../lib/base/errors.ts";
import { command, type CommandSpec, group } from "../command.ts";
import { type Json, parseJson } from "../engine/json.ts";
import { render } from "./context.ts";

/** What a word of the tool prints, as JSON; `args` are what it was given. */
type ToJson = (out: string, args: readonly string[]) => Json;

/** One word of the tool; its own name there may differ. What it refuses it says in its own words. */
function word(
  words: string,
  summary: string,
  toolName: string,
  example: string,
  toJson: ToJson,
): CommandSpec {
  return command(words, summary)
    .example(example)
    .action(async (call) => {
      if (toolName === "generate") refuseToReplace(call.args.slice(0, IDENTITY_FILES));
      const { idToolHere } = await import("./id_machine.ts");
      const result = await idToolHere("zt id", [toolName, ...call.args], call.io.err);
      if (result.exit !== 0) throw new ApiError(0, result.stderr.trim());
      const said = result.stdout.trim();
      if (said !== "") render(call, toJson(said, call.args), () => `${said}\n`);
    });
}

/** The reference's tool writes over what is there; an identity is all a node has. */
function refuseToReplace(files: readonly string[]): void {
  const remedy = "move it away first: a lost identity cannot be made again";
  for (const file of files) {
    if (isFile(file)) throw new SystemError(`write ${file}`, "EEXIST", remedy);
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false; // writing says what is wrong with it
  }
}

const IDENTITY_FILES = 2; // secret and public, in this order
const IDENTITY_NOTE = "An identity is a file, or its text: address:0:public key[:secret].";

/** `zt id`. */
export const id = group("id", "Make and check identities, sign with them, make moons", [
  word(
    "generate [secret-file] [public-file] [prefix]",
    "Make an identity; without files it is printed",
    "generate",
    "zt id generate identity.secret identity.public",
    (out, files) =>
      files.length === 0 ? { identity: out } : { written: files.slice(0, IDENTITY_FILES) },
  ),
  word(
    "validate <identity>",
    "Check the proof of work of an identity",
    "validate",
    "zt id validate identity.public",
    () => ({ valid: true }),
  ),
  word(
    "public <identity>",
    "Print an identity without its secret",
    "getpublic",
    "zt id public identity.secret",
    (identity) => ({ identity }),
  ),
  word(
    "sign <identity> <file>",
    "Sign a file with an identity's secret",
    "sign",
    "zt id sign identity.secret notes.txt",
    (signature) => ({ signature }),
  ),
  word(
    "verify <identity> <file> <signature>",
    "Check the signature of a file",
    "verify",
    "zt id verify identity.public notes.txt 0f1e…",
    () => ({ valid: true }),
  ),
  word(
    "initmoon <identity>",
    "Print the JSON of a new moon, to be filled in",
    "initmoon",
    "zt id initmoon identity.public > moon.json",
    (json) => parseJson(json),
  ),
  word(
    "genmoon <file>",
    "Make a moon from its JSON",
    "genmoon",
    "zt id genmoon moon.json",
    (out) => ({ written: [out.split(" ")[1]] }),
  ),
])
  .example("zt id generate identity.secret identity.public")
  .note(IDENTITY_NOTE);
