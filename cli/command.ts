/**
 * How a command is declared and called. The only file that knows the argument parser: another one is a change of this
 * file alone.
 *
 *     export const leave = command("leave <network>", "Leave a network")
 *       .example("zt leave 8056c2e21c000001")
 *       .action(async (call) => { ... call.argument(0) ... });
 *
 * @module
 */
import { Command, CommanderError } from "commander";
import { UsageError } from "../lib/base/errors.ts";

/** Where a command's words go. */
export interface Io {
  /** Text as it is: the caller adds the newline. */
  out(text: string): void;
  /** Progress and errors. */
  err(text: string): void;
}

/** The values of the options every command takes. */
export interface GlobalOptions {
  /** -D */
  home?: string;
  /** -p; 0 only makes sense for `service` */
  port?: number;
  /** -T */
  token?: string;
  /** -j, --json */
  json: boolean;
}

/** One call of a command: its words and options as text, and the options every command has. */
export class Call {
  readonly #options: Record<string, unknown>;

  constructor(
    readonly args: readonly string[],
    options: Record<string, unknown>,
    readonly global: GlobalOptions,
    readonly io: Io,
  ) {
    this.#options = options;
  }

  /** A required word of the command. */
  argument(index: number): string {
    const word = this.args[index];
    if (word === undefined) throw new UsageError(`word ${index + 1} of the command is missing`);
    return word;
  }

  /** Whether `--name` was given. */
  flag(name: string): boolean {
    return this.#options[name] === true;
  }

  /** The text after `--name`, undefined when it was not given; "logLevel" for `--log-level`. */
  text(name: string): string | undefined {
    const value = this.#options[name];
    return typeof value === "string" ? value : undefined;
  }

  /** All the texts given with `--name`, which may come several times. */
  texts(name: string): string[] {
    const value = this.#options[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  /**
   * The number after `--name` in seconds, as milliseconds.
   * @throws {UsageError} when it is no positive number
   */
  milliseconds(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const seconds = Number(value);
    if (!(seconds > 0) || !Number.isFinite(seconds)) {
      throw new UsageError(`--${name} must be a number of seconds above 0, not "${value}"`);
    }
    return seconds * 1000;
  }
}

/** What a command does. @returns the exit code, 0 when nothing */
export type Action = (call: Call) => Promise<number | void> | number | void;

/** An option, declared. */
export interface OptionSpec {
  /** e.g. "-D <home>", "--wait" */
  flags: string;
  description: string;
  /** Whether it may be given several times. */
  many: boolean;
}

/** The options every command takes. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  { flags: "-D <home>", description: "home folder of the service", many: false },
  { flags: "-p <port>", description: "port of the service, UDP and API", many: false },
  {
    flags: "-T <token>",
    description: "token of the API, instead of the one in the home folder",
    many: false,
  },
  { flags: "-j, --json", description: "print JSON", many: false },
];

/** A command or a group of commands, declared and not yet called. */
export class CommandSpec {
  readonly options: OptionSpec[] = [];
  readonly examples: string[] = [];
  readonly aliases: string[] = [];
  readonly notes: string[] = [];
  commands: CommandSpec[] = [];
  isHidden = false;
  run?: Action;

  /** @param words The name, then its words: "<needed>", "[optional]", "[any...]" */
  constructor(readonly words: string, readonly summary: string) {}

  get name(): string {
    return this.words.split(" ")[0];
  }

  /** @param flags e.g. "--timeout <seconds>" */
  option(flags: string, description: string): this {
    this.options.push({ flags, description, many: false });
    return this;
  }

  /** An option that may be given several times. */
  repeated(flags: string, description: string): this {
    this.options.push({ flags, description, many: true });
    return this;
  }

  alias(name: string): this {
    this.aliases.push(name);
    return this;
  }

  /** A line shown under "Example" in the help. */
  example(line: string): this {
    this.examples.push(line);
    return this;
  }

  /** A paragraph at the end of the help. */
  note(text: string): this {
    this.notes.push(text);
    return this;
  }

  /** Works, but the help of the program does not list it. */
  hidden(): this {
    this.isHidden = true;
    return this;
  }

  action(run: Action): this {
    this.run = run;
    return this;
  }

  /** Commands below this one, e.g. `zt service install` below `zt service`. */
  holds(commands: CommandSpec[]): this {
    this.commands = commands;
    return this;
  }
}

/** Declares a command. */
export function command(words: string, summary: string): CommandSpec {
  return new CommandSpec(words, summary);
}

/** Declares a command that only holds others. */
export function group(name: string, summary: string, commands: CommandSpec[]): CommandSpec {
  return new CommandSpec(name, summary).holds(commands);
}

/** The program: its commands, and what to do with words that name none. */
export interface Program {
  name: string;
  summary: string;
  /** Printed by `-v`. */
  version: string;
  commands: CommandSpec[];
  /** Shown at the end of the help. */
  notes: string[];
  /** Asked before a word is called unknown. @returns undefined when it is */
  fallback: (words: readonly string[]) => Action | undefined;
}

/**
 * Parses the arguments and runs the command they name.
 * @param argv Without the program's name
 * @returns the exit code
 * @throws {UsageError} for arguments that make no sense; whatever the command throws
 */
export async function runProgram(program: Program, argv: string[], io: Io): Promise<number> {
  let exitCode = 0;
  const root = new Command(program.name).description(program.summary).exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: io.err, outputError: () => {} })
    .version(program.version, "-v, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand("help [command]", "print help")
    .addHelpText("after", program.notes.map((note) => `\n${note}`).join("\n"));
  for (const { flags, description } of GLOBAL_OPTIONS) root.option(flags, description);
  const call = async (run: Action, args: string[], options: Record<string, unknown>) => {
    exitCode = await run(new Call(args, options, globalOptions(root.opts()), io)) ?? 0;
  };
  for (const spec of program.commands) declare(root, spec, call);
  try {
    await root.parseAsync(wholeHelp(program, argv), { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const run = error.code === "commander.unknownCommand" ? program.fallback(root.args) : undefined;
    if (!run) return exitCodeOf(error);
    await call(run, root.args, {});
  }
  return exitCode;
}

/**
 * The command some words name, as far as they do: ["controller", "network"] for "-j controller network frob".
 * @param argv Without the program's name
 */
export function commandPath(program: Program, argv: readonly string[]): string[] {
  return named(program.commands, wordsOf(argv)).path;
}

/** @returns the words that name a command, and the commands it holds */
function named(commands: readonly CommandSpec[], words: readonly string[]) {
  const path: string[] = [];
  let inner = commands;
  for (const word of words) {
    const found = inner.find(({ name, aliases }) => name === word || aliases.includes(word));
    if (!found) break;
    path.push(found.name);
    inner = found.commands;
  }
  return { path, inner };
}

/** What is left without options; only those of every command are known to take a word of their own. */
function wordsOf(argv: readonly string[]): string[] {
  const isValue = (index: number) => index > 0 && /^-[DpT]$/.test(argv[index - 1]);
  return argv.filter((word, index) => !word.startsWith("-") && !isValue(index));
}

/**
 * The parser's own help looks at one word only, and shows that of the program when the word names nothing.
 * @throws {UsageError} when help is asked about no command
 */
function wholeHelp({ commands }: Program, argv: readonly string[]): readonly string[] {
  const [verb, ...words] = wordsOf(argv);
  if (verb !== "help" || words.length === 0) return argv;
  const { path, inner } = named(commands, words);
  if (path.length < words.length && inner.length > 0) {
    throw new UsageError(`unknown command '${words.slice(0, path.length + 1).join(" ")}'`);
  }
  return [...path, "--help"];
}

type Caller = (run: Action, args: string[], options: Record<string, unknown>) => Promise<void>;

function declare(parent: Command, spec: CommandSpec, call: Caller): void {
  const made = parent.command(spec.words, { hidden: spec.isHidden }).description(spec.summary)
    .helpOption("-h, --help", "print help");
  for (const { flags, description, many } of spec.options) {
    if (many) {
      const collect = (value: string, before: string[] = []) => [...before, value];
      made.option(flags, description, collect);
    } else made.option(flags, description);
  }
  for (const name of spec.aliases) made.alias(name);
  const examples = spec.examples.map((line) => `  ${line}`);
  const after = [
    ...(examples.length > 0 ? [`Example:\n${examples.join("\n")}`] : []),
    ...spec.notes,
  ];
  if (after.length > 0) made.addHelpText("after", after.map((part) => `\n${part}`).join("\n"));
  for (const inner of spec.commands) declare(made, inner, call);
  const { run } = spec;
  if (run) made.action((): Promise<void> => call(run, made.args, made.opts()));
  if (spec.commands.length > 0) made.helpCommand(false);
}

function globalOptions(options: Record<string, string | boolean | undefined>): GlobalOptions {
  const text = (key: string) => typeof options[key] === "string" ? options[key] : undefined;
  const portText = text("p");
  const port = portText === undefined ? undefined : Number(portText);
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw new UsageError(`-p must be a port from 0 to 65535, not "${portText}"`);
  }
  return { home: text("D"), port, token: text("T"), json: options.json === true };
}

/** @returns 0 after help or version were asked for. @throws {UsageError} otherwise */
function exitCodeOf(error: CommanderError): number {
  if (error.exitCode === 0) return 0;
  if (error.code === "commander.help") throw new UsageError("name one of these commands");
  const message = error.message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
  throw new UsageError(message.replace(/\.$/, ""));
}
