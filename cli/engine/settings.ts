/**
 * `local.conf` made into typed settings: lenient about how a value is written, strict about what it means.
 *
 * Source: spec 06 section 6, spec 03 section 22, coercions of spec 05 section 7.1.
 * @module
 */
import { type Address, parseAddress } from "../../lib/base/ids.ts";
import {
  contains,
  type Endpoint,
  type Ip,
  parseEndpoint,
  parseIp,
  parsePrefix,
  type Prefix,
} from "../../lib/base/ip.ts";
import { DEFAULT_SETTINGS } from "../../lib/node/machine.ts";
import { type BondSettings, parseBonds } from "./bond_settings.ts";
import { Value } from "./conf_value.ts";
import { isObject, type Json, type JsonObject } from "./json.ts";
import { HomeError } from "./home.ts";
import { type HttpProxy, parseHttpProxy } from "./tcp/http_proxy.ts";
import { formatLogLevels, type LogLevel, parseLogLevel } from "./log.ts";

/** How a part of the physical network is treated. */
export interface PhysicalSettings {
  network: Prefix;
  /** Never use or bind addresses in it. */
  blacklist: boolean;
  /** 64 bits; 0 for none, else packets from there that bear it need not be encrypted; ours always are. */
  trustedPathId: bigint;
  /** UDP payload in bytes, 1400 to 10324; 0 is the default of 1432. */
  mtu: number;
}

/** What is said about one peer. */
export interface PeerSettings {
  address: Address;
  /** Where to try it. */
  try: Endpoint[];
  /** Never reach it through these. */
  blacklist: Prefix[];
}

/** Which cipher we send with; every one is accepted. */
export type CipherChoice = "auto" | "salsa" | "aes";

/** What the data plane may use where the system offers it; all of it unless one looks for the cause of a trouble. */
export interface DataPlaneSettings {
  /** Super-datagrams out: the system cuts them. */
  gso: boolean;
  /** Super-datagrams in: the system joins what one sender sends. */
  gro: boolean;
  /** Super-frames and unfinished checksums between the system and our interfaces. */
  offload: boolean;
  /** AES by the system's libcrypto. */
  aes: boolean;
}

/** Everything `local.conf` says, with defaults for what it does not. */
export interface Settings {
  /** In the order matching goes: sorted by text, the first that contains an address wins. */
  physical: PhysicalSettings[];
  peers: PeerSettings[];
  /** Undefined: `-p` or 9993. 0: a random one. */
  primaryPort?: number;
  /** 0: a random one. */
  secondaryPort: number;
  /** 0: a random one. */
  tertiaryPort: number;
  allowSecondaryPort: boolean;
  portMappingEnabled: boolean;
  /** Bind these addresses instead of all. */
  bind: Ip[];
  interfacePrefixBlacklist: string[];
  allowManagementFrom: Prefix[];
  allowTcpFallbackRelay: boolean;
  forceTcpRelay: boolean;
  /** Undefined: none configured; the reference's default answers nobody. */
  tcpFallbackRelay?: Endpoint;
  /** Ours: for tunnels over TCP. Undefined: what the environment says. */
  httpProxy?: HttpProxy | "none";
  lowBandwidthMode: boolean;
  softwareUpdate: string;
  softwareUpdateChannel: string;
  enableWebServer: boolean;
  /** Undefined: in the home folder. */
  controllerDbPath?: string;
  /** Ours: the file name servers of networks with allowDNS are written to where systemd-resolved does not run. */
  resolvConf?: string;
  /** Ours: ask for the names of members and answer for them. */
  names: boolean;
  /** Ours. */
  cipher: CipherChoice;
  /** Ours: how much is said in the log. */
  logLevel: LogLevel;
  /** Ours. Read at start. */
  dataPlane: DataPlaneSettings;
  /** Ours: relay for others over TCP, when this node is a root. */
  tcpRelay: boolean;
  /**
   * Ours: the TCP port it does so on. Nodes look for it at 443, and where the planet lists the root
   * at a port but 9993.
   */
  tcpRelayPort: number;
  /** Ours: what this node relays for one source in a second, in bytes, when it is a root. Read at start. */
  relayBytesPerSecond: number;
  /** Undefined: paths are not bonded. Read at start. */
  bonds: BondSettings | undefined;
}

const DEFAULT_RELAY_PORT = 443; // the one port nearly every firewall lets out
const DEFAULT_NODE_PORT = 9_993;
const PATH_MTU_MIN_BYTES = 1_400;
const PATH_MTU_MAX_BYTES = 10_324;

/**
 * @param conf A parsed `local.conf`; keys we do not know are left to others
 * @throws {HomeError} naming the key, when a value cannot mean anything
 */
export function parseSettings(conf: JsonObject): Settings {
  const settings = section(conf, "settings");
  const at = (key: string) => new Value(`settings.${key}`, settings[key]);
  const bonds = parseBonds(settings);
  return {
    physical: entries(conf, "physical").map(([key, value]) => parsePhysical(key, value)),
    peers: entries(conf, "virtual").map(([key, value]) => parsePeer(key, value)),
    primaryPort: settings.primaryPort === undefined ? undefined : at("primaryPort").port(0),
    secondaryPort: at("secondaryPort").port(0),
    tertiaryPort: at("tertiaryPort").port(0),
    allowSecondaryPort: at("allowSecondaryPort").flag(true),
    portMappingEnabled: at("portMappingEnabled").flag(true),
    bind: at("bind").list(parseIp, "an IP address"),
    interfacePrefixBlacklist: at("interfacePrefixBlacklist").list((text) => text, "text"),
    allowManagementFrom: at("allowManagementFrom").list(parsePrefix, "a network like 10.0.0.0/8"),
    // As in the reference: it would be a path beside those of the bonds.
    allowTcpFallbackRelay: at("allowTcpFallbackRelay").flag(true) && !bonds,
    forceTcpRelay: at("forceTcpRelay").flag(false),
    tcpFallbackRelay: at("tcpFallbackRelay").parsed(endpointAt(DEFAULT_RELAY_PORT), "ip/port"),
    httpProxy: at("httpProxy").parsed(
      (text) => text === "none" ? text : parseHttpProxy(text),
      '"http://[user:password@]host:port" or "none"',
    ),
    lowBandwidthMode: at("lowBandwidthMode").flag(false),
    softwareUpdate: at("softwareUpdate").text("disable"),
    softwareUpdateChannel: at("softwareUpdateChannel").text("release"),
    enableWebServer: at("enableWebServer").flag(false),
    controllerDbPath: at("controllerDbPath").text("") || undefined,
    resolvConf: at("resolvConf").text("") || undefined,
    names: at("names").flag(true),
    cipher: at("cipher").parsed(parseCipher, `"auto", "salsa" or "aes"`) ?? "auto",
    logLevel: at("logLevel").parsed(parseLogLevel, formatLogLevels()) ?? "info",
    dataPlane: parseDataPlane(settings.dataPlane),
    tcpRelay: at("tcpRelay").flag(true),
    tcpRelayPort: at("tcpRelayPort").port(DEFAULT_RELAY_PORT) || DEFAULT_RELAY_PORT,
    relayBytesPerSecond: at("relayBytesPerSecond").integer(DEFAULT_SETTINGS.relayBytesPerSecond),
    bonds,
  };
}

/**
 * Keys of a `local.conf` that nothing here asks for: misspelt, or of no effect with us.
 * @throws {HomeError} as {@linkcode parseSettings}
 */
export function unknownSettings(conf: JsonObject): string[] {
  const known = new Set<string>();
  const listening = (fields: JsonObject, where: string) =>
    new Proxy(fields, {
      get(target, key, self) {
        known.add(`${where}${String(key)}`);
        return Reflect.get(target, key, self);
      },
    });
  const settings = section(conf, "settings");
  parseSettings(listening({ ...conf, settings: listening(settings, "settings.") }, ""));
  const all = [...Object.keys(conf), ...Object.keys(settings).map((key) => `settings.${key}`)];
  return all.filter((key) => !known.has(key));
}

/** What is said about a physical address: the first network that contains it decides. */
export function physicalFor({ physical }: Settings, ip: Ip): PhysicalSettings | undefined {
  return physical.find(({ network }) => contains(network, ip));
}

/** Reads "ip/port"; where no port is named it is the usual one, or the address would be passed over in silence. */
function endpointAt(usualPort: number): (text: string) => Endpoint | undefined {
  return (text) => {
    const endpoint = parseEndpoint(text);
    return endpoint && { ip: endpoint.ip, port: endpoint.port || usualPort };
  };
}

function parseCipher(text: string): CipherChoice | undefined {
  return text === "auto" || text === "salsa" || text === "aes" ? text : undefined;
}

function parseDataPlane(value: Json | undefined): DataPlaneSettings {
  const fields = value ?? {};
  if (!isObject(fields)) throw new HomeError("local.conf: settings.dataPlane must be an object");
  const flag = (key: string) => new Value(`settings.dataPlane.${key}`, fields[key]).flag(true);
  return { gso: flag("gso"), gro: flag("gro"), offload: flag("offload"), aes: flag("aes") };
}

function parsePhysical(key: string, value: JsonObject): PhysicalSettings {
  const where = `physical."${key}"`;
  const network = parsePrefix(key);
  if (!network) throw new HomeError(`local.conf: ${where} is not a network like 10.0.0.0/8`);
  const at = (name: string) => new Value(`${where}.${name}`, value[name]);
  const mtu = at("mtu").integer(0);
  return {
    network,
    blacklist: at("blacklist").flag(false),
    trustedPathId: at("trustedPathId").unsigned64(),
    mtu: mtu === 0 ? 0 : Math.min(Math.max(mtu, PATH_MTU_MIN_BYTES), PATH_MTU_MAX_BYTES),
  };
}

function parsePeer(key: string, value: JsonObject): PeerSettings {
  const where = `virtual."${key}"`;
  const address = parseAddress(key);
  if (address === undefined) {
    throw new HomeError(`local.conf: ${where} is not an address of 10 hexadecimal digits`);
  }
  const at = (name: string) => new Value(`${where}.${name}`, value[name]);
  return {
    address,
    try: at("try").list(endpointAt(DEFAULT_NODE_PORT), "ip/port"),
    blacklist: at("blacklist").list(parsePrefix, "a network like 10.0.0.0/8"),
  };
}

/** The object under a key; {} when there is none. */
function section(conf: JsonObject, key: string): JsonObject {
  const value = conf[key];
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw new HomeError(`local.conf: ${key} must be an object`);
  return value;
}

function entries(conf: JsonObject, key: string): [string, JsonObject][] {
  const found = section(conf, key);
  return Object.keys(found).sort().map((name) => {
    const value = found[name];
    if (!isObject(value)) throw new HomeError(`local.conf: ${key}."${name}" must be an object`);
    return [name, value];
  });
}
