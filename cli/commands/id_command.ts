/**
 * `zt id`: identities and moons, by the tool the reference calls `zerotier-idtool`.
 * @module
 */
import { command, type CommandSpec, group } from "../command.ts";

/** One word of the tool; its own name there may differ. */
function word(words: string, summary: string, toolName: string, example: string): CommandSpec {
  return command(words, summary)
    .example(example)
    .action(async (call) => {
      const { runIdTool } = await import("./id_machine.ts");
      return await runIdTool("zt id", [toolName, ...call.args], call.io);
    });
}

const IDENTITY_NOTE = "An identity is a file, or its text: address:0:public key[:secret].";

/** `zt id`. */
export const id = group("id", "Make and check identities, sign with them, make moons", [
  word(
    "generate [secret-file] [public-file] [prefix]",
    "Make an identity; without files it is printed",
    "generate",
    "zt id generate identity.secret identity.public",
  ),
  word(
    "validate <identity>",
    "Check the proof of work of an identity",
    "validate",
    "zt id validate identity.public",
  ),
  word(
    "public <identity>",
    "Print an identity without its secret",
    "getpublic",
    "zt id public identity.secret",
  ),
  word(
    "sign <identity> <file>",
    "Sign a file with an identity's secret",
    "sign",
    "zt id sign identity.secret notes.txt",
  ),
  word(
    "verify <identity> <file> <signature>",
    "Check the signature of a file",
    "verify",
    "zt id verify identity.public notes.txt 0f1e…",
  ),
  word(
    "initmoon <identity>",
    "Print the JSON of a new moon, to be filled in",
    "initmoon",
    "zt id initmoon identity.public > moon.json",
  ),
  word("genmoon <file>", "Make a moon from its JSON", "genmoon", "zt id genmoon moon.json"),
])
  .example("zt id generate identity.secret identity.public")
  .note(IDENTITY_NOTE);
