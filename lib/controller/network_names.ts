/**
 * What the members of a network are called: the names of their records, made into labels.
 *
 * A member without a name is called by its address. Of several with one name the one whose record
 * is oldest has it, so that a new member never takes a name over; the others' names end in their
 * addresses. Nobody has another's address for a name. Members that are not authorized have none.
 *
 * In a network of more than {@linkcode LISTED_NAMES_MAX} members, or with more than a list holds,
 * nobody is told them all but the controller's own node, which, being a member, answers the others
 * one by one.
 * @module
 */
import { Reader } from "../base/bytes.ts";
import { DNS_LABEL_LENGTH_MAX, toDnsLabel } from "../base/dns_label.ts";
import { type Address, formatAddress, parseAddress } from "../base/ids.ts";
import type { Ip } from "../base/ip.ts";
import { encodeNames, type MemberName, type NameList } from "../credential/member_names.ts";
import type { Primitives } from "../crypto/primitives.ts";
import type { CompiledNetwork } from "./compiled_network.ts";
import { presentAddresses } from "./ip_assignment.ts";
import { type JsonObject, sameJson, toArray, toBoolean, toInteger, toText } from "./json.ts";
import {
  ANSWERED_NAMES_MAX,
  LISTED_NAMES_MAX,
  NAMED_MEMBERS_MAX,
  NAMES_LENGTH_MAX,
} from "./limits.ts";
import { isAuthorized } from "./member_record.ts";

/** Names of one network. */
export interface NetworkNames {
  /** What members are told. */
  readonly listed: NameList;
  /** What the controller's own node is told. */
  readonly all: NameList;
}

/** A member and its record. */
type Entry = readonly [address: Address, member: { readonly record: JsonObject }];

/**
 * @param members In any order
 * @param own The controller's address
 * @returns undefined when the network hands out no names
 */
export function namesOf(
  network: CompiledNetwork,
  members: Iterable<Entry>,
  { own, primitives }: { own: Address; primitives: Primitives },
): NetworkNames | undefined {
  if (!network.names) return undefined;
  const { named, isCut } = nameAll(network, oldest(members));
  const all = listOf(named, false, primitives);
  const ofController = named.filter(({ address }) => address === own);
  const isLarge = isCut || named.length > LISTED_NAMES_MAX;
  return { listed: isLarge ? listOf(ofController, true, primitives) : all, all };
}

/** Authorized members, oldest records first: as many as may have names. */
function oldest(members: Iterable<Entry>): Entry[] {
  const found: Entry[] = [];
  // Those we look at come in about the order they were made; more than twice as many are not worth the sorting.
  for (const entry of members) {
    if (found.length === 2 * NAMED_MEMBERS_MAX) break;
    if (isAuthorized(entry[1].record)) found.push(entry);
  }
  const createdMs = ([, { record }]: Entry) => toInteger(record.creationTime, 0);
  found.sort((a, b) => createdMs(a) - createdMs(b) || a[0] - b[0]);
  return found.slice(0, NAMED_MEMBERS_MAX);
}

/** As many as one list holds. */
function nameAll(
  network: CompiledNetwork,
  members: readonly Entry[],
): { named: MemberName[]; isCut: boolean } {
  const taken = new Set<string>();
  const named: MemberName[] = [];
  let lengthBytes = 1;
  for (const [address, { record }] of members) {
    const label = freeLabel(toDnsLabel(toText(record.name, "")), address, taken);
    taken.add(label);
    const ips = presentAddresses({
      network,
      member: address,
      stored: toArray(record.ipAssignments),
      noAutoAssign: toBoolean(record.noAutoAssignIps, false),
    });
    lengthBytes += lengthOf(label, ips);
    if (lengthBytes > NAMES_LENGTH_MAX) return { named, isCut: true };
    named.push({ address, label, ips });
  }
  return { named, isCut: false };
}

function lengthOf(label: string, ips: readonly Ip[]): number {
  return ips.reduce((sum, ip) => sum + 1 + ip.length, 5 + 1 + label.length + 1);
}

function freeLabel(wanted: string, member: Address, taken: ReadonlySet<string>): string {
  const own = formatAddress(member);
  // What looks like an address is somebody's name already, or may become it.
  if (wanted === "" || wanted === own) return own;
  if (parseAddress(wanted) === undefined && !taken.has(wanted)) return wanted;
  const cut = wanted.slice(0, DNS_LABEL_LENGTH_MAX - own.length - 1).replace(/-$/, "");
  const label = `${cut}-${own}`;
  return taken.has(label) ? own : label;
}

function listOf(
  members: readonly MemberName[],
  onDemand: boolean,
  primitives: Primitives,
): NameList {
  const digest = primitives.sha512(encodeNames(members, onDemand));
  const hash = new Reader(digest, "hash").u64();
  return { hash: hash === 0n ? 1n : hash, onDemand, members }; // 0 says "none held"
}

/** Who is told. */
export interface NamesListener {
  readonly isOwn: boolean;
  readonly namesHeld: bigint | undefined;
  readonly isPush: boolean;
}

/**
 * What of the names a member is told: nothing when it does not want them, little when it has them
 * or a push will follow.
 */
export function namesFor(
  names: NetworkNames | undefined,
  { isOwn, namesHeld, isPush }: NamesListener,
): NameList | undefined {
  if (!names || namesHeld === undefined) return undefined;
  const list = isOwn ? names.all : names.listed;
  const isLong = list.members!.length > ANSWERED_NAMES_MAX;
  const isLeftOut = list.hash === namesHeld || (isLong && !isPush);
  return isLeftOut ? { ...list, members: undefined } : list;
}

/** Whether a member was told of a list that it does not hold, and so has to be sent. */
export function isOwedNames(told: NameList | undefined, namesHeld: bigint | undefined): boolean {
  return told !== undefined && !told.members && told.hash !== namesHeld;
}

/** Whether a change of a member's record may change names. */
export function changesNames(
  before: JsonObject | undefined,
  after: JsonObject | undefined,
): boolean {
  const was = isAuthorized(before);
  if (!was && !isAuthorized(after)) return false;
  return was !== isAuthorized(after) ||
    ["name", "ipAssignments", "noAutoAssignIps"].some((key) =>
      !sameJson(before?.[key], after?.[key])
    );
}
