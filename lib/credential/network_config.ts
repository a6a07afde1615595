/**
 * What a member needs to know to take part in a network: the configuration its controller signs, as a value and as the
 * dictionary that travels in chunks.
 *
 * Keys: v nwid ts ctmd r id tt tl f ml t n mtu C CAP TAG COO S RT I R DNS ssov ssoe, in that order,
 * a few more for single sign-on, and the names of members (`member_names.ts`), which are ours.
 * Integers are 16 hexadecimal digits, `id` and `tt` 10; C to DNS are binary, laid out in
 * `network_config_binary.ts`. Keys we do not know are ignored.
 *
 * Source: spec 04 sections 4 and 8.
 * @module
 */
import { text, utf8 } from "../base/bytes.ts";
import { cutText } from "../base/cut_text.ts";
import { WireError } from "../base/errors.ts";
import {
  type Address,
  formatAddress,
  formatNetworkId,
  type NetworkId,
  NIL_ADDRESS,
} from "../base/ids.ts";
import type { Prefix } from "../base/ip.ts";
import type { Capability } from "./capability.ts";
import type { CertificateOfMembership } from "./certificate_of_membership.ts";
import type { CertificateOfOwnership } from "./certificate_of_ownership.ts";
import { Dictionary, DictionaryWriter } from "./dictionary.ts";
import { type NameList, putNames, takeNames } from "./member_names.ts";
import {
  decodeBinaryParts,
  type Dns,
  encodeBinaryParts,
  type Route,
  type Specialist,
} from "./network_config_binary.ts";
import type { Tag } from "./tag.ts";

const WHERE = "network config";
/** Format of the dictionary we write and the newest we read. */
export const CONFIG_VERSION = 7;
const CONFIG_VERSION_MIN = 6; // older ones wrote everything as text
/** A configuration of this many bytes or more is refused: bounds what a controller can make a member hold. */
export const CONFIG_LENGTH_MAX = 484_520;
export const MTU_MIN = 1_280;
export const MTU_MAX = 10_000;
export const MTU_DEFAULT = 2_800;
const NAME_LENGTH_MAX = 127;

/** Bits of {@linkcode NetworkConfig.flags}; others are ignored. */
export const ConfigFlag = {
  BROADCAST: 0x2,
  NDP_EMULATION: 0x4,
  /** Rules of unknown type match. */
  UNKNOWN_RULES_MATCH: 0x8,
  /** MULTICAST_FRAMEs are not compressed. */
  NO_COMPRESSION: 0x10,
} as const;

/** Single sign-on: what the user has to visit. We show it and do nothing else with it. */
export interface SsoConfig {
  readonly enabled: boolean;
  /** 0 or 1; decides which of the fields below are used. */
  readonly version: number;
  readonly authenticationUrl: string;
  readonly expiryMs: number;
  readonly issuerUrl: string;
  readonly centralUrl: string;
  readonly nonce: string;
  readonly state: string;
  readonly clientId: string;
  readonly provider: string;
}

/** Immutable. Times are the controller's clock. */
export interface NetworkConfig {
  readonly networkId: NetworkId;
  /** When it was issued: the time the age of credentials is measured from. */
  readonly timestampMs: number;
  /** How far from {@linkcode timestampMs} a credential's time may be. */
  readonly credentialTimeMaxDeltaMs: number;
  readonly revision: number;
  /** The member it is for. */
  readonly issuedTo: Address;
  readonly traceTarget: Address;
  readonly traceLevel: number;
  /** Bits of {@linkcode ConfigFlag}. */
  readonly flags: number;
  /** Most recipients of one multicast; 0: no multicast at all. */
  readonly multicastLimit: number;
  readonly type: "private" | "public";
  readonly name: string;
  /** 1280 to 10000 */
  readonly mtu: number;
  readonly com: CertificateOfMembership | undefined;
  /** Ascending by id, at most 128. */
  readonly capabilities: readonly Capability[];
  /** Ascending by id, at most 128. */
  readonly tags: readonly Tag[];
  /** At most 4. */
  readonly ownerships: readonly CertificateOfOwnership[];
  /** At most 256. */
  readonly specialists: readonly Specialist[];
  /** At most 128. */
  readonly routes: readonly Route[];
  /** At most 32. */
  readonly staticIps: readonly Prefix[];
  /** Encoded, see `rule_codec.ts`; at most 1024 rules. Empty: everything is dropped unless a capability accepts it. */
  readonly rules: Uint8Array;
  readonly dns: Dns;
  readonly sso: SsoConfig;
  /** Undefined when the controller hands out none. */
  readonly names: NameList | undefined;
}

const NO_SSO: SsoConfig = {
  enabled: false,
  version: 0,
  authenticationUrl: "",
  expiryMs: 0,
  issuerUrl: "",
  centralUrl: "",
  nonce: "",
  state: "",
  clientId: "",
  provider: "",
};

/** A configuration with nothing in it: the fields to change are spread over it. */
export const EMPTY_CONFIG: NetworkConfig = {
  networkId: 0n as NetworkId,
  timestampMs: 0,
  credentialTimeMaxDeltaMs: 0,
  revision: 0,
  issuedTo: NIL_ADDRESS,
  traceTarget: NIL_ADDRESS,
  traceLevel: 0,
  flags: 0,
  multicastLimit: 0,
  type: "private",
  name: "",
  mtu: MTU_DEFAULT,
  com: undefined,
  capabilities: [],
  tags: [],
  ownerships: [],
  specialists: [],
  routes: [],
  staticIps: [],
  rules: new Uint8Array(0),
  dns: { domain: "", servers: [] },
  sso: NO_SSO,
  names: undefined,
};

/**
 * @param bytes A whole dictionary; nothing of it is kept
 * @param lengthMax It must be shorter; what we wrote anew may be longer than what a controller may send
 * @throws {WireError} when it is too long, of an old format, names no network or member, or a binary part that must be
 * right is not; capabilities and tags keep what could be read
 */
export function decodeNetworkConfig(
  bytes: Uint8Array,
  lengthMax = CONFIG_LENGTH_MAX,
): NetworkConfig {
  if (bytes.length >= lengthMax) throw new WireError(WHERE, `${bytes.length} bytes`);
  const d = Dictionary.decode(bytes);
  const version = d.getNumber("v");
  if (version < CONFIG_VERSION_MIN) throw new WireError(WHERE, `format version ${version}`);
  const networkId = d.getUint("nwid") as NetworkId;
  const issuedTo = d.getAddress("id");
  if (networkId === 0n || issuedTo === NIL_ADDRESS) throw new WireError(WHERE, "for nobody");
  return {
    networkId,
    timestampMs: d.getNumber("ts"),
    credentialTimeMaxDeltaMs: d.getNumber("ctmd"),
    revision: d.getNumber("r"),
    issuedTo,
    traceTarget: d.getAddress("tt"),
    traceLevel: d.getNumber("tl"),
    flags: Number(BigInt.asUintN(32, d.getUint("f"))),
    multicastLimit: Number(BigInt.asUintN(32, d.getUint("ml"))),
    type: d.getUint("t") === 1n ? "public" : "private",
    name: shortText(d.get("n")),
    mtu: Math.min(MTU_MAX, Math.max(MTU_MIN, d.getNumber("mtu", MTU_DEFAULT))),
    ...decodeBinaryParts(d),
    sso: decodeSso(d),
    names: takeNames(d),
  };
}

/** Cut where the reference cuts. */
/** Malformed UTF-8 grows when decoded: it is cut again, so that what was read can be written. */
function shortText(value: Uint8Array | undefined): string {
  return value ? cutText(text(value.subarray(0, NAME_LENGTH_MAX)), NAME_LENGTH_MAX) : "";
}

function decodeSso(d: Dictionary): SsoConfig {
  const enabled = d.getBoolean("ssoe");
  const version = d.getNumber("ssov");
  if (!enabled) return { ...NO_SSO, version };
  return {
    enabled,
    version,
    authenticationUrl: d.getText("aurl"),
    expiryMs: d.getNumber("aexpt"),
    issuerUrl: d.getText("iurl"),
    centralUrl: d.getText("ssoce"),
    nonce: d.getText("sson"),
    state: d.getText("ssos"),
    clientId: d.getText("ssocid"),
    provider: d.getText("ssop"),
  };
}

/**
 * The dictionary, keys in the order of the reference.
 * @throws {RangeError} when the name or a list is longer than a receiver reads, or a number does not fit
 */
export function encodeNetworkConfig(config: NetworkConfig): Uint8Array {
  if (utf8(config.name).length > NAME_LENGTH_MAX) {
    throw new RangeError(`name: more than ${NAME_LENGTH_MAX} bytes`);
  }
  const d = new DictionaryWriter();
  d.uint("v", CONFIG_VERSION).text("nwid", formatNetworkId(config.networkId));
  d.uint("ts", config.timestampMs).uint("ctmd", config.credentialTimeMaxDeltaMs);
  d.uint("r", config.revision).text("id", formatAddress(config.issuedTo));
  d.text("tt", formatAddress(config.traceTarget)).uint("tl", config.traceLevel);
  d.uint("f", config.flags).uint("ml", config.multicastLimit);
  d.uint("t", config.type === "public" ? 1 : 0).text("n", config.name).uint("mtu", config.mtu);
  encodeBinaryParts(config, d);
  encodeSso(config.sso, d);
  putNames(config.names, d);
  return d.finish();
}

function encodeSso(sso: SsoConfig, d: DictionaryWriter): void {
  d.uint("ssov", sso.version).boolean("ssoe", sso.enabled);
  if (!sso.enabled) return;
  if (sso.version === 0) {
    d.text("aurl", sso.authenticationUrl).uint("aexpt", sso.expiryMs);
  } else {
    d.text("iurl", sso.issuerUrl).text("ssoce", sso.centralUrl).text("sson", sso.nonce);
    d.text("ssos", sso.state).text("ssocid", sso.clientId).text("ssop", sso.provider);
  }
}
