/**
 * `zt rules`: files of the command line to what {@linkcode rulesCompile} and its siblings take.
 * @module
 */
import { UsageError } from "../../lib/base/errors.ts";
import { type Call, command, group } from "../command.ts";
import { fileReason } from "../engine/file_error.ts";
import type { RulesOutput, TextFile } from "./rules.ts";

const FILE_MAX_BYTES = 1_000_000; // what the language takes

const compile = command("compile <file>", "Turn rules into what the controller takes")
  .example("zt rules compile office.ztrules")
  .action((call) => withRules(call, (rules, file, options) => rules.rulesCompile(file, options)));

const check = command("check <file>", "Say whether rules compile, and what in them may surprise")
  .example("zt rules check office.ztrules")
  .action((call) => withRules(call, (rules, file, options) => rules.rulesCheck(file, options)));

const format = command("format <file>", "Print rules with even layout; JSON becomes a source")
  .example("zt rules format office.ztrules")
  .action((call) => withRules(call, (rules, file, options) => rules.rulesFormat(file, options)));

const explain = command(
  "explain <file> <frame...>",
  "Say what becomes of a frame, and by which rule",
)
  .option("--members <file>", 'who takes part, in lines like "member anna ip 10.0.0.4 tag guest 1"')
  .example('zt rules explain office.ztrules "tcp from 10.0.0.4 to 10.0.0.5 port 22"')
  .action((call) =>
    withRules(call, (rules, file, options) => {
      const members = call.text("members");
      const description = call.args.slice(1).join(" ");
      const list = members === undefined ? undefined : readText(members);
      return rules.rulesExplain(file, description, list, options);
    })
  );

const test = command("test <file> <tests>", "Run a file of expectations against rules")
  .example("zt rules test office.ztrules office.tests")
  .action((call) =>
    withRules(
      call,
      (rules, file, options) => rules.rulesTest(file, readText(call.argument(1)), options),
    )
  );

/** `zt rules`. */
export const rules = group("rules", "Compile, check and try the rules of a network", [
  compile,
  check,
  format,
  explain,
  test,
])
  .example("zt rules check office.ztrules")
  .note('"-" is standard input.');

type Rules = typeof import("./rules.ts");

/** Prints what one of the functions says about the file named first. */
async function withRules(
  call: Call,
  run: (rules: Rules, file: TextFile, options: { json: boolean }) => RulesOutput,
): Promise<number> {
  const file = readText(call.argument(0));
  const result = run(await import("./rules.ts"), file, { json: call.global.json });
  if (result.out !== "") call.io.out(result.out);
  if (result.err !== "") call.io.err(result.err);
  return result.exitCode;
}

function readText(name: string): TextFile {
  if (name === "-") return { name, text: readInput() };
  try {
    const bytes = Deno.readFileSync(name);
    if (bytes.length <= FILE_MAX_BYTES) return { name, text: new TextDecoder().decode(bytes) };
  } catch (error) {
    throw new UsageError(`${name} cannot be read: ${fileReason(error)}`);
  }
  throw new UsageError(`${name} is too large for rules`);
}

/** Standard input to its end. @throws {UsageError} when it is too large */
function readInput(): string {
  const bytes = new Uint8Array(FILE_MAX_BYTES + 1);
  let lengthBytes = 0;
  for (;;) {
    const got = Deno.stdin.readSync(bytes.subarray(lengthBytes));
    if (!got) break;
    lengthBytes += got;
    if (lengthBytes > FILE_MAX_BYTES) throw new UsageError("standard input is too large for rules");
  }
  return new TextDecoder().decode(bytes.subarray(0, lengthBytes));
}
