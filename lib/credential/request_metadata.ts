/**
 * What a node says about itself when it asks for a configuration: a dictionary.
 *
 *     key               meaning
 *     v                 newest configuration format it reads
 *     vend              vendor; 1 is ZeroTier
 *     pv                protocol version
 *     majv, minv, revv  software version
 *     mr, mc, mcr, mt   most rules, capabilities, rules in a capability, tags it takes
 *     f                 flags; none is defined
 *     revr              revision of the rules engine; 0 or absent gets a network that accepts everything
 *     o                 platform/architecture
 *     a                 authorization to join, e.g. `token:...`; the reference node sends none
 *     zn                ours: the names of members are wanted, number of the list held; see `member_names.ts`
 *
 * Source: spec 04 section 5.
 * @module
 */
import { CAPABILITY_RULES_MAX } from "./capability.ts";
import { Dictionary, DictionaryWriter } from "./dictionary.ts";
import { CONFIG_VERSION } from "./network_config.ts";
import { ConfigLimits } from "./network_config_binary.ts";

const VENDOR_ZEROTIER = 1;
const RULES_ENGINE_REVISION = 1;
/** The reference reads fewer than this many bytes. */
const METADATA_LENGTH_MAX = 1_024;

export interface RequestMetadata {
  readonly configVersion: number;
  readonly vendor: number;
  readonly protocolVersion: number;
  readonly majorVersion: number;
  readonly minorVersion: number;
  readonly revision: number;
  readonly rulesMax: number;
  readonly capabilitiesMax: number;
  readonly capabilityRulesMax: number;
  readonly tagsMax: number;
  readonly flags: number;
  readonly rulesEngineRevision: number;
  /** E.g. "linux/x86_64"; "" when absent. */
  readonly platform: string;
  /** "" when absent. */
  readonly authorization: string;
  /** Number of the list of names held, 0 for none; undefined when none is wanted. */
  readonly namesHeld: bigint | undefined;
}

/** What we are, except for what changes with version and machine. */
export const OUR_METADATA: Omit<
  RequestMetadata,
  "protocolVersion" | "majorVersion" | "minorVersion" | "revision" | "platform"
> = {
  configVersion: CONFIG_VERSION,
  vendor: VENDOR_ZEROTIER,
  rulesMax: ConfigLimits.RULES,
  capabilitiesMax: ConfigLimits.CAPABILITIES,
  capabilityRulesMax: CAPABILITY_RULES_MAX,
  tagsMax: ConfigLimits.TAGS,
  flags: 0,
  rulesEngineRevision: RULES_ENGINE_REVISION,
  authorization: "",
  namesHeld: undefined,
};

/** Never throws: what is missing is 0 or "". */
export function decodeRequestMetadata(bytes: Uint8Array): RequestMetadata {
  const d = Dictionary.decode(bytes);
  return {
    configVersion: d.getNumber("v"),
    vendor: d.getNumber("vend"),
    protocolVersion: d.getNumber("pv"),
    majorVersion: d.getNumber("majv"),
    minorVersion: d.getNumber("minv"),
    revision: d.getNumber("revv"),
    rulesMax: d.getNumber("mr"),
    capabilitiesMax: d.getNumber("mc"),
    capabilityRulesMax: d.getNumber("mcr"),
    tagsMax: d.getNumber("mt"),
    flags: d.getNumber("f"),
    rulesEngineRevision: d.getNumber("revr"),
    platform: d.getText("o"),
    authorization: d.getText("a"),
    namesHeld: d.get("zn") && d.getUint("zn"),
  };
}

/**
 * Keys in the order of the reference.
 * @throws {RangeError} when it is longer than the reference reads
 */
export function encodeRequestMetadata(metadata: RequestMetadata): Uint8Array {
  const d = new DictionaryWriter();
  d.uint("v", metadata.configVersion).uint("vend", metadata.vendor);
  d.uint("pv", metadata.protocolVersion).uint("majv", metadata.majorVersion);
  d.uint("minv", metadata.minorVersion).uint("revv", metadata.revision);
  d.uint("mr", metadata.rulesMax).uint("mc", metadata.capabilitiesMax);
  d.uint("mcr", metadata.capabilityRulesMax).uint("mt", metadata.tagsMax);
  d.uint("f", metadata.flags).uint("revr", metadata.rulesEngineRevision);
  if (metadata.platform !== "") d.text("o", metadata.platform);
  if (metadata.authorization !== "") d.text("a", metadata.authorization);
  if (metadata.namesHeld !== undefined) d.uint("zn", metadata.namesHeld);
  const bytes = d.finish();
  if (bytes.length >= METADATA_LENGTH_MAX) throw new RangeError(`metadata: ${bytes.length} bytes`);
  return bytes;
}
