/**
 * The identity tool: makes, checks and signs with identities, and makes moons; word for word what
 * `zerotier-idtool` does, with everything it touches handed in.
 *
 * Source: spec 01 section 10, spec 06 section 5.3.
 * @module
 */
import { fromHex, text, toHex, utf8 } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";
import { formatAddress } from "../../lib/base/ids.ts";
import type { Primitives, Random } from "../../lib/crypto/primitives.ts";
import { Identity, SECRET_KEY_BYTES } from "../../lib/identity/identity.ts";
import {
  formatMoonTemplate,
  parseWorldTemplate,
  signingKeyFrom,
  signTemplate,
} from "../../lib/identity/moon_template.ts";
import { sign, SIGNATURE_BYTES, verify } from "../../lib/identity/sign.ts";
import { isPossiblePrefix } from "../../lib/identity/work.ts";
import { worldBytes } from "../../lib/identity/world.ts";
import { fileReason } from "../engine/file_error.ts";
import type { GenerateIdentityOptions, GenerateProgress } from "../engine/validator.ts";

/** What the tool may touch. */
export interface IdToolIo {
  /** How the tool was called, for its help, e.g. "zt id". */
  readonly program: string;
  readonly primitives: Primitives;
  readonly random: Random;
  /** Contents of a file, or undefined when it cannot be read. */
  readFile(name: string): Promise<Uint8Array | undefined>;
  /** Writes a file, readable by its owner alone when `secret`; rejects when it cannot. */
  writeFile(name: string, contents: Uint8Array, options: { secret: boolean }): Promise<void>;
  /** Milliseconds since 1970. */
  wallMs(): number;
  /** Checks the proof of work, see `Validator`. */
  validate(identity: Identity): Promise<boolean>;
  /** Searches for an identity, see `Validator`. */
  generate(
    options: GenerateIdentityOptions,
    onProgress: (progress: GenerateProgress) => void,
  ): Promise<Identity>;
  /** Takes lines of progress as they come; without it they are in `stderr` at the end. */
  onProgress?(line: string): void;
}

/** What a run of the tool printed, and its exit code. */
export interface IdToolResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: number;
}

/** Ends a command: the line goes to stderr, the exit code is 1. */
class IdToolError extends Error {
  override name = "IdToolError";
}

type IdToolCommand = (args: string[], io: IdToolIo) => Promise<IdToolResult>;

/** Its function, and how many arguments a command needs; with fewer, help is printed. */
const COMMANDS: Record<string, { run: IdToolCommand; argsMin: number; helpExit: number }> = {
  generate: { run: generate, argsMin: 0, helpExit: 1 },
  validate: { run: validate, argsMin: 1, helpExit: 1 },
  getpublic: { run: getPublic, argsMin: 1, helpExit: 1 },
  sign: { run: signFile, argsMin: 2, helpExit: 1 },
  verify: { run: verifyFile, argsMin: 3, helpExit: 1 },
  // Quirk of the reference: these two succeed at printing help.
  initmoon: { run: initMoon, argsMin: 1, helpExit: 0 },
  genmoon: { run: genMoon, argsMin: 1, helpExit: 0 },
};

const ADDRESS_DIGITS = 10;
const LITERAL_LONGER_THAN = 32; // characters; what is shorter is a file name

/** What is printed when the words make no sense. */
export function idToolHelp(program: string): string {
  return `Usage: ${program} <command> [<args>]

Commands:
  generate [<identity.secret>] [<identity.public>] [<vanity>]
  validate <identity.secret/public>
  getpublic <identity.secret>
  sign <identity.secret> <file>
  verify <identity.secret/public> <file> <signature>
  initmoon <identity.public of first seed>
  genmoon <moon json>

Example: ${program} generate identity.secret identity.public
`;
}

/**
 * Runs one command of the tool.
 * @param args The command and its arguments
 */
export async function idTool(args: string[], io: IdToolIo): Promise<IdToolResult> {
  const [name, ...rest] = args;
  const command = Object.hasOwn(COMMANDS, name ?? "") ? COMMANDS[name] : undefined;
  if (!command || rest.length < command.argsMin) {
    return { stdout: idToolHelp(io.program), stderr: "", exit: command?.helpExit ?? 1 };
  }
  try {
    return await command.run(rest, io);
  } catch (error) {
    if (error instanceof IdToolError) return failed(error.message);
    throw error;
  }
}

function printed(stdout: string, stderr = ""): IdToolResult {
  return { stdout, stderr, exit: 0 };
}

function failed(line: string): IdToolResult {
  return { stdout: "", stderr: `${line}\n`, exit: 1 };
}

async function generate(args: string[], io: IdToolIo): Promise<IdToolResult> {
  const [secretFile, publicFile, prefix] = args;
  if (!isPossiblePrefix(prefix ?? "")) throw new IdToolError(`no address starts with ${prefix}`);
  let stderr = "";
  const report = (line: string) => {
    if (io.onProgress) io.onProgress(line);
    else stderr += line;
  };
  const identity = await io.generate({ prefix }, ({ passed }) => {
    if (passed !== undefined && prefix) {
      const wanted = prefix.toLowerCase().padEnd(ADDRESS_DIGITS, "0");
      const bits = prefix.length * 4;
      report(
        `vanity address: tried ${
          formatAddress(passed)
        } looking for first ${bits} bits of ${wanted}\n`,
      );
    }
  });
  if (prefix) report(`vanity address: found ${formatAddress(identity.address)} !\n`);
  if (!secretFile) return printed(identity.formatSecret(), stderr);
  let stdout = await write(io, secretFile, utf8(identity.formatSecret()), true);
  if (publicFile) stdout += await write(io, publicFile, utf8(identity.format()), false);
  return printed(stdout, stderr);
}

/** @returns what to print about it */
async function write(io: IdToolIo, name: string, contents: Uint8Array, secret: boolean) {
  try {
    await io.writeFile(name, contents, { secret });
  } catch (error) {
    throw new IdToolError(`${name} cannot be written: ${fileReason(error)}`);
  }
  return `${name} written\n`;
}

async function validate([argument]: string[], io: IdToolIo): Promise<IdToolResult> {
  const identity = await readIdentity(argument, io);
  if (!await io.validate(identity)) return failed(`${argument} FAILED validation.`);
  return printed(`${argument} is a valid identity\n`);
}

async function getPublic([argument]: string[], io: IdToolIo): Promise<IdToolResult> {
  return printed((await readIdentity(argument, io)).format());
}

async function signFile([argument, file]: string[], io: IdToolIo): Promise<IdToolResult> {
  const identity = await readIdentity(argument, io);
  if (!identity.secretKey) {
    return failed(`${argument} does not contain a private key (must use private to sign)`);
  }
  const message = await readReadable(file, io);
  return printed(toHex(sign(io.primitives, identity, message)));
}

async function verifyFile(
  [argument, file, signatureText]: string[],
  io: IdToolIo,
): Promise<IdToolResult> {
  const identity = await readIdentity(argument, io);
  const message = await readReadable(file, io);
  const signature = parseSignature(signatureText) ??
    parseSignature(text(await io.readFile(signatureText) ?? new Uint8Array(0)));
  const valid = signature && verify(io.primitives, identity.publicKey, message, signature);
  return valid ? printed(`${file} signature valid\n`) : failed(`${file} signature check FAILED`);
}

function parseSignature(hex: string): Uint8Array | undefined {
  const digits = hex.trim();
  const isSignature = digits.length === SIGNATURE_BYTES * 2 && /^[0-9a-fA-F]+$/.test(digits);
  return isSignature ? fromHex(digits) : undefined;
}

async function initMoon([argument]: string[], io: IdToolIo): Promise<IdToolResult> {
  const identity = await findIdentity(argument, io);
  if (!identity) return failed(`${argument} is not a valid identity`);
  const secret = new Uint8Array(SECRET_KEY_BYTES);
  io.random(secret);
  return printed(formatMoonTemplate(identity, signingKeyFrom(io.primitives, secret)) + "\n");
}

/** Stricter than the reference, which takes keys that are missing for zeros and writes moons nobody would read. */
async function genMoon([file]: string[], io: IdToolIo): Promise<IdToolResult> {
  const json = await io.readFile(file);
  if (!json) return failed(`cannot read ${file}`);
  const timestamp = BigInt(io.wallMs());
  try {
    const moon = signTemplate(io.primitives, parseWorldTemplate(text(json)), timestamp);
    const name = `${moon.id.toString(16).padStart(16, "0")}.moon`;
    await write(io, name, worldBytes(moon), false);
    return printed(`wrote ${name} (signed world with timestamp ${timestamp})\n`);
  } catch (error) {
    if (error instanceof WireError) return failed(error.reason);
    if (error instanceof RangeError) return failed(error.message); // too many roots or endpoints
    throw error;
  }
}

async function readIdentity(argument: string, io: IdToolIo): Promise<Identity> {
  const identity = await findIdentity(argument, io);
  if (!identity) {
    throw new IdToolError(`Identity argument invalid or file unreadable: ${argument}`);
  }
  return identity;
}

/** An identity written out, or the name of a file that holds one. */
async function findIdentity(argument: string, io: IdToolIo): Promise<Identity | undefined> {
  const literal = argument.length > LITERAL_LONGER_THAN && argument[ADDRESS_DIGITS] === ":";
  const contents = literal ? utf8(argument) : await io.readFile(argument);
  if (!contents) return undefined;
  try {
    return Identity.parse(text(contents));
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

async function readReadable(file: string, io: IdToolIo): Promise<Uint8Array> {
  const contents = await io.readFile(file);
  if (!contents) throw new IdToolError(`${file} is not readable`);
  return contents;
}
