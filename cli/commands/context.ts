/**
 * What every command needs: the home folder it is about, the service that runs there, and how a value is printed.
 * @module
 */
import { UsageError } from "../../lib/base/errors.ts";
import { type NetworkId, parseAddress, parseNetworkId } from "../../lib/base/ids.ts";
import { ApiClient, NoServiceError } from "../api/client.ts";
import type { Call } from "../command.ts";
import { exists } from "../engine/free_name.ts";
import { Home } from "../engine/home.ts";
import { readPort, readToken } from "../engine/home_files.ts";
import { formatJson, type Json } from "../engine/json.ts";
import type { LogLevel } from "../engine/log.ts";

const LOCALHOST = "127.0.0.1";
const STATUS_PATIENCE_MS = 3_000; // a service that takes longer hangs
const START_PATIENCE_MS = 30_000; // a first start makes an identity: a second, ten on a small machine

/** The home folder named by -D, or the usual one. */
export function homeOf(call: Call): Home {
  return new Home(call.global.home ?? Home.defaultPath());
}

/** A client of the service of this home folder, if one may be running: port and token are known. */
export function findService(call: Call, home = homeOf(call)): ApiClient | undefined {
  const port = call.global.port || readPort(home);
  const token = call.global.token ?? readToken(home, "authtoken.secret");
  return port && token ? new ApiClient({ host: LOCALHOST, port, token }) : undefined;
}

/**
 * The same, for commands that make no sense without.
 * @throws {NoServiceError} saying how to get one
 */
export function requireService(call: Call): ApiClient {
  const home = homeOf(call);
  const found = findService(call, home);
  if (found) return found;
  refuseOthers(call, home);
  throw new NoServiceError(`no service has run on ${home.path} (-D names another home)`);
}

/**
 * Whose service a user means who has none and names none: the machine's, which is root's.
 * @throws {NoServiceError} saying so
 */
function refuseOthers(call: Call, home: Home): void {
  const isOwn = call.global.home !== undefined || home.path === Home.OF_MACHINE || home.exists();
  if (isOwn || !exists(Home.OF_MACHINE)) return;
  throw new NoServiceError(
    `the service of this machine, on ${Home.OF_MACHINE}, is root's`,
    "try again as root, or name a home of your own with -D",
  );
}

/** Whether a service answers there, before long, and takes our token. */
export async function isAnswering(client: ApiClient | undefined): Promise<boolean> {
  const reply = await client?.send("GET", "/status", undefined, STATUS_PATIENCE_MS);
  return reply?.status === 200;
}

/**
 * The service of this home folder, started in the background, and said so, when none answers.
 * @param logLevel How much one that is started logs; what `local.conf` says when undefined
 */
export async function ensureService(call: Call, logLevel?: LogLevel): Promise<ApiClient> {
  const home = homeOf(call);
  const found = findService(call, home);
  const reply = await found?.send("GET", "/status");
  // Any answer but none at all is for the command to report.
  if (found && reply && reply.status !== 0) return found;
  refuseOthers(call, home);
  call.io.err(`no service is running: starting one in the background on ${home.path}\n`);
  const { startInBackground } = await import("../engine/background.ts");
  await startInBackground({
    home,
    port: call.global.port,
    logLevel,
    patienceMs: START_PATIENCE_MS,
    isReady: () => isAnswering(findService(call, home)),
  });
  return requireService(call);
}

/** Prints a value: as text made from it, or with --json as it is. */
export function render<T extends Json>(call: Call, value: T, toText: (value: T) => string): void {
  call.io.out(call.global.json ? `${formatJson(value, 1)}\n` : toText(value));
}

/** @throws {UsageError} when the word is not 16 hexadecimal digits */
export function networkIdOf(word: string): NetworkId {
  const id = parseNetworkId(word);
  if (id !== undefined) return id;
  throw new UsageError(
    `"${word}" is not a network id: 16 hexadecimal digits, e.g. 8056c2e21c000001`,
  );
}

/** @returns the address in lower case. @throws {UsageError} when the word is not 10 hexadecimal digits */
export function addressOf(word: string): string {
  if (parseAddress(word) !== undefined) return word.toLowerCase();
  throw new UsageError(`"${word}" is not an address: 10 hexadecimal digits, e.g. 8056c2e21c`);
}

/** Columns padded to the widest entry, two spaces between; no padding after the last. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => widths[column] = Math.max(widths[column] ?? 0, cell.length));
  }
  return rows.map((row) =>
    `${
      row.map((cell, column) => column === row.length - 1 ? cell : cell.padEnd(widths[column]))
        .join("  ").trimEnd()
    }\n`
  ).join("");
}
