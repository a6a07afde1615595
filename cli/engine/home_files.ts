/**
 * The small files of a home folder, each with its reader and writer: tokens, port, networks joined, settings.
 *
 * Source: spec 06 sections 2.1 to 2.3, spec 01 section 11.
 * @module
 */
import { messageOf } from "../../lib/base/errors.ts";
import { text, utf8 } from "../../lib/base/bytes.ts";
import { formatNetworkId, type NetworkId, parseNetworkId } from "../../lib/base/ids.ts";
import { formatPrefix, parsePrefix, type Prefix } from "../../lib/base/ip.ts";
import type { Random } from "../../lib/crypto/primitives.ts";
import { withoutQuotation } from "./conf_secrets.ts";
import { formatJson, isObject, type JsonObject, parseJson } from "./json.ts";
import type { NetworkSettings } from "../api/view.ts";
import { type Home, HomeError } from "./home.ts";

const SECRET_MODE = 0o600;
const TOKEN_LENGTH = 24; // 124 bits of 36 letters
const TOKEN_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789";
const PORT_FILE = "zerotier-one.port";

/** Files that hold a token. */
export type TokenFile = "authtoken.secret" | "metricstoken.secret";

/** @returns undefined when there is none, or it is blank; white space around a user's own token does not count */
export function readToken(home: Home, file: TokenFile): string | undefined {
  return home.readText(file)?.trim() || undefined;
}

/** The token, made and kept when there is none. */
export function ensureToken(home: Home, file: TokenFile, random: Random): string {
  const found = readToken(home, file);
  if (found !== undefined) {
    home.protect(file);
    return found;
  }
  const token = makeToken(random);
  home.write(file, token, { mode: SECRET_MODE });
  return token;
}

/** 24 letters and digits, each equally likely. */
function makeToken(random: Random): string {
  const even = 256 - 256 % TOKEN_LETTERS.length; // bytes past it would favour the first letters
  let token = "";
  while (token.length < TOKEN_LENGTH) {
    const bytes = new Uint8Array(TOKEN_LENGTH);
    random(bytes);
    for (const byte of bytes) if (byte < even) token += TOKEN_LETTERS[byte % TOKEN_LETTERS.length];
  }
  return token.slice(0, TOKEN_LENGTH);
}

/** The API port of the service that runs, or last ran, here; undefined when there is none or it makes no sense. */
export function readPort(home: Home): number | undefined {
  const port = Number(home.readText(PORT_FILE)?.trim() || NaN);
  return Number.isInteger(port) && port > 0 && port <= 65_535 ? port : undefined;
}

export function writePort(home: Home, port: number): void {
  home.write(PORT_FILE, String(port));
}

/**
 * Reads `identity.secret`. Nothing is ever changed: an identity is all a node has.
 * @param parse Returns undefined for text that is no identity with a valid secret
 * @returns undefined when the file is missing or empty: time to make one
 * @throws {HomeError} when the file holds something else
 */
export function readIdentity<T>(home: Home, parse: (text: string) => T | undefined): T | undefined {
  const content = home.readText("identity.secret")?.trim();
  if (!content) return undefined;
  const identity = parse(content);
  if (identity === undefined) {
    throw new HomeError(
      `${home.pathOf("identity.secret")} is damaged or not an identity; ` +
        "put a copy back, or move it away to get a new address",
    );
  }
  home.protect("identity.secret");
  return identity;
}

/** Writes both forms of a new identity. */
export function writeIdentity(home: Home, secret: string, publicText: string): void {
  home.write("identity.secret", secret, { mode: SECRET_MODE });
  home.write("identity.public", publicText);
}

/** Rewrites `identity.public` where it is there and differs; a missing one is not made (spec 06 section 2.1). */
export function refreshPublicIdentity(home: Home, publicText: string): void {
  const found = home.readText("identity.public");
  if (found !== undefined && found.trim() !== publicText) home.write("identity.public", publicText);
}

/** What is kept of a network between runs, apart from its config. */
export type LocalNetworkSettings = NetworkSettings & {
  /** Managed addresses and routes are taken only inside these; empty takes any. */
  managedOnly: Prefix[];
};

/** What applies when there is no `.local.conf`: managed addresses and nothing else. */
export const DEFAULT_NETWORK_SETTINGS: LocalNetworkSettings = {
  allowManaged: true,
  allowGlobal: false,
  allowDefault: false,
  allowDNS: false,
  managedOnly: [],
};

/** Reads `<nwid>.local.conf`; unknown lines are ignored, missing ones have their defaults. */
export function parseLocalNetwork(content: string): LocalNetworkSettings {
  const fields = new Map<string, string>();
  for (const line of content.split(/[\r\n]+/)) {
    const at = line.indexOf("=");
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 1));
  }
  const flag = (key: string, missing: boolean) => {
    const value = fields.get(key);
    return value === undefined ? missing : /^[1tT]/.test(value);
  };
  const managed = fields.get("allowManaged") ?? "";
  const isList = managed.length > 5; // longer than "false": a list of networks
  return {
    allowManaged: isList || flag("allowManaged", true),
    allowGlobal: flag("allowGlobal", false),
    allowDefault: flag("allowDefault", false),
    allowDNS: flag("allowDNS", false),
    managedOnly: isList ? managed.split(",").flatMap((item) => parsePrefix(item) ?? []) : [],
  };
}

/** Writes `<nwid>.local.conf`. Unlike the reference it keeps the list when other settings change. */
export function formatLocalNetwork(settings: LocalNetworkSettings): string {
  const flag = (value: boolean) => value ? "1" : "0";
  const list = settings.managedOnly.map(formatPrefix).join(",");
  const managed = settings.allowManaged && list !== "" ? list : flag(settings.allowManaged);
  return `allowManaged=${managed}\nallowGlobal=${flag(settings.allowGlobal)}\n` +
    `allowDefault=${flag(settings.allowDefault)}\nallowDNS=${flag(settings.allowDNS)}\n`;
}

/**
 * The settings after a change from the API.
 * @param change Only what was given; `allowManaged: true` keeps the list there is, `false` drops it
 */
export function changeLocalNetwork(
  settings: LocalNetworkSettings,
  change: Partial<NetworkSettings>,
): LocalNetworkSettings {
  const changed = { ...settings, ...change };
  return changed.allowManaged ? changed : { ...changed, managedOnly: [] };
}

/** The networks `networks.d` says are joined, ascending by id. Other files there are left alone. */
export function joinedNetworks(home: Home): NetworkId[] {
  return home.list("networks.d").flatMap((name) =>
    name.endsWith(".conf") ? parseNetworkId(name.slice(0, -".conf".length)) ?? [] : []
  );
}

/** Where the last config received of a network is kept, as a dictionary; an empty file says "joined". */
export function networkFile(id: NetworkId): string {
  return `networks.d/${formatNetworkId(id)}.conf`;
}

/** Local settings of one network, the defaults when there is no file. */
export function readLocalNetwork(home: Home, id: NetworkId): LocalNetworkSettings {
  const content = home.readText(`networks.d/${formatNetworkId(id)}.local.conf`);
  return content === undefined ? DEFAULT_NETWORK_SETTINGS : parseLocalNetwork(content);
}

export function writeLocalNetwork(
  home: Home,
  id: NetworkId,
  settings: LocalNetworkSettings,
): void {
  home.write(`networks.d/${formatNetworkId(id)}.local.conf`, formatLocalNetwork(settings));
}

/** Keeps a received config; an empty one says "joined". */
export function writeNetworkConfig(home: Home, id: NetworkId, config: Uint8Array): void {
  home.write(networkFile(id), config);
}

/** Forgets a network: it is not joined at the next start. */
export function removeNetwork(home: Home, id: NetworkId): void {
  home.remove(networkFile(id));
  home.remove(`networks.d/${formatNetworkId(id)}.local.conf`);
}

/**
 * `local.conf` as it stands, {} when there is none.
 * @throws {HomeError} when it is not a JSON object
 */
export function readLocalConf(home: Home): JsonObject {
  const bytes = home.readBytes("local.conf");
  if (!bytes || text(bytes).trim() === "") return {};
  try {
    const value = parseJson(text(bytes));
    if (isObject(value)) return value;
  } catch (error) {
    throw new HomeError(
      `${home.pathOf("local.conf")} is not JSON: ${withoutQuotation(messageOf(error))}`,
    );
  }
  throw new HomeError(`${home.pathOf("local.conf")} must hold an object, e.g. {"settings": {}}`);
}

/**
 * Puts each key into `settings` and writes the file, everything else kept (`POST /config/settings`).
 * @param check Throws on what would not be read at the next start; the file is then left as it is
 */
export function changeLocalConf(
  home: Home,
  change: JsonObject,
  check: (conf: JsonObject) => void,
): JsonObject {
  const conf = readLocalConf(home);
  if (Object.keys(change).length === 0) return conf;
  const settings = isObject(conf.settings) ? conf.settings : {};
  const changed = { ...conf, settings: { ...settings, ...change } };
  check(changed);
  home.write("local.conf", utf8(`${formatJson(changed, 4)}\n`));
  return changed;
}
