/**
 * Members and frames described in words, for `zt rules explain` and `zt rules test`.
 *
 *     member   = "member" NAME { "address" HEX10 | "ip" IP | "mac" MAC | "tag" TAG VALUE | "cap" CAP }
 *     frame    = [ protocol ] { "from" endpoint | "to" endpoint | "port" N | FLAG
 *                             | "type" N | "code" N | "tos" N | "size" N }
 *     protocol = "tcp" | "udp" | "icmp" | any other IP protocol by name | "ipprotocol" N
 *              | "ipv4" | "ipv6" | "arp" | "ethertype" NAME-or-N
 *     endpoint = { NAME | HEX10 | IP | MAC | "tag:" TAG "=" VALUE | "tag:" VALUE | "cap:" CAP | "as" IP
 *              | "anyone" | "broadcast" | "multicast" }
 *     FLAG     = "syn" | "ack" | "fin" | "rst" | "psh" | "urg" | "ece" | "cwr" | "ns"
 *
 * A member has the default tags and capabilities of the rules besides its own, and owns its
 * addresses. An endpoint that is an IP of a declared member is that member; any other is somebody
 * new. "as" gives a source address that is not owned. "port" belongs to the endpoint before it. TCP
 * without flags is the first packet of a connection. Ports not given are 49152 and 49151, which no
 * rule should name.
 * @module
 */
import { BROADCAST_MAC, type Mac, parseMac } from "../../base/ids.ts";
import {
  type Address,
  formatAddress,
  macOf,
  type NetworkId,
  parseAddress,
} from "../../base/ids.ts";
import { type Ip, parseIp, sameIp } from "../../base/ip.ts";
import type { Frame } from "../../network/rules/headers.ts";
import { parseNumber } from "./arguments.ts";
import { SourceError, type Span, suggest } from "./diagnostic.ts";
import { buildPayload, etherTypeOf, type Traffic } from "./payload.ts";
import type { BookTag, RuleBook } from "./rule_book.ts";
import { CHARACTERISTICS, ETHERTYPES, PROTOCOLS } from "./vocabulary.ts";
import type { Word } from "./words.ts";

/** The network all scenarios take place on; it decides the MACs. */
export const SCENARIO_NETWORK = 0x8056_c2e2_1c00_0001n as NetworkId;
/** Members one scenario may declare: bounds work; a test of rules needs few. */
const MEMBERS_MAX = 1_024;
const FIRST_ADDRESS = 0x10_0000_0001; // members get addresses from here on
const MULTICAST_MAC = 0x0100_5e00_00fb as Mac; // mDNS over IPv4, as good as any
const [SOURCE_PORT, DESTINATION_PORT] = [49_152, 49_151];
/** Addresses for documentation, RFC 5737 and RFC 3849: no rule names them. */
const DEFAULT_IPS = {
  4: [parseIp("192.0.2.1")!, parseIp("192.0.2.2")!],
  6: [parseIp("2001:db8::1")!, parseIp("2001:db8::2")!],
} as const;

/** Somebody a frame passes through. */
export interface Member {
  readonly name: string;
  readonly address: Address;
  readonly ips: readonly Ip[];
  readonly macs: readonly Mac[];
  /** Id to value */
  readonly tags: ReadonlyMap<number, number>;
  readonly capabilityIds: ReadonlySet<number>;
}

/** A frame between two members. */
export interface Scenario {
  readonly from: Member;
  readonly to: Member;
  readonly frame: Frame;
}

/** The words of one line, read one after another. */
export class Line {
  #next = 0;
  constructor(readonly words: readonly Word[], readonly end: Span) {}

  peek(): Word | undefined {
    return this.words[this.#next];
  }

  /** @throws {SourceError} at the end of the line */
  take(what: string): Word {
    const word = this.words[this.#next++];
    if (word === undefined) throw new SourceError(this.end, "the line ends too early", what);
    return word;
  }

  number(max: number): number {
    const word = this.take(`a number from 0 to ${max}`);
    const number = parseNumber(word.text);
    if (number === undefined || number < 0 || number > max) {
      const problem = `"${word.text}" is not such a number`;
      throw new SourceError(word, problem, `a number from 0 to ${max}`);
    }
    return number;
  }
}

/** Cuts a text into lines of words; empty lines and comments are left out. */
export function linesOf(text: string): Line[] {
  const lines: Line[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const words: Word[] = [];
    for (const match of line.matchAll(/#.*|[^ \t\r]+/g)) {
      if (match[0].startsWith("#")) break;
      const [word] = match;
      words.push({ text: word, line: index + 1, column: match.index + 1, length: word.length });
    }
    const last = words.at(-1);
    if (last) {
      lines.push(new Line(words, { ...last, column: last.column + last.length, length: 1 }));
    }
  }
  return lines;
}

/** What an endpoint says. */
interface Endpoint {
  base?: Member;
  address?: Address;
  readonly ips: Ip[];
  /** "as": a source address nobody said is owned */
  claimed?: Ip;
  mac?: Mac;
  group?: Mac;
  readonly tags: Map<number, number>;
  readonly capabilityIds: Set<number>;
  port?: number;
}

/** Members declared so far; reads members and frames of one rule book. */
export class Stage {
  readonly #members = new Map<string, Member>();
  #addressesUsed = 0;

  constructor(readonly book: RuleBook) {}

  /** Reads what follows "member". @throws {SourceError} */
  member(line: Line): Member {
    const name = line.take("a name");
    if (this.#members.has(name.text) || FRAME_WORDS.has(name.text) || parseAddress(name.text)) {
      throw new SourceError(name, `"${name.text}" cannot name another member`, "a new name");
    }
    if (this.#members.size === MEMBERS_MAX) {
      throw new SourceError(name, `there are more than ${MEMBERS_MAX} members`);
    }
    const said: Endpoint = { ips: [], tags: new Map(), capabilityIds: new Set() };
    const macs: Mac[] = [];
    while (line.peek()) {
      const word = line.take("");
      switch (word.text) {
        case "address":
          said.address = this.#address(line.take("10 hexadecimal digits"));
          break;
        case "ip":
          said.ips.push(ipOf(line.take("an IP address")));
          break;
        case "mac":
          macs.push(macWord(line.take("a MAC address")));
          break;
        case "tag": {
          const tag = this.#tag(line.take("a tag"));
          said.tags.set(tag.id, this.#tagValue(tag, line.take("a value")));
          break;
        }
        case "cap":
          said.capabilityIds.add(this.#capability(line.take("a capability")));
          break;
        default:
          throw new SourceError(word, `"${word.text}" says nothing about a member`, MEMBER_WORDS);
      }
    }
    const member = this.#make(name.text, said, macs);
    this.#members.set(name.text, member);
    return member;
  }

  /** The member of that name, or the address of somebody else. @throws {SourceError} */
  addressOf(word: Word): Address {
    const member = this.#members.get(word.text);
    return member ? member.address : this.#address(word);
  }

  /** Reads a frame up to the end of the line. @throws {SourceError} */
  scenario(line: Line): Scenario {
    const traffic: MutableTraffic = {};
    let from: Endpoint | undefined;
    let to: Endpoint | undefined;
    let last: Endpoint | undefined;
    while (line.peek()) {
      const word = line.take("");
      if (word.text === "from") last = from = this.#endpoint(line);
      else if (word.text === "to") last = to = this.#endpoint(line);
      else if (word.text === "port") {
        if (!last) {
          throw new SourceError(word, `"port" belongs to nobody`, `"from" or "to" before it`);
        }
        last.port = line.number(65_535);
      } else if (!readTraffic(word, line, traffic)) {
        const close = suggest(word.text, FRAME_WORDS);
        const expected = close === undefined ? "a protocol, from, to, port, ..." : `"${close}"`;
        throw new SourceError(word, `"${word.text}" does not describe a frame`, expected);
      }
    }
    if (!from || !to) {
      throw new SourceError(
        line.end,
        "the frame does not go from somebody to somebody",
        '"from" and "to"',
      );
    }
    return this.#build(from, to, traffic, line.end);
  }

  #build(from: Endpoint, to: Endpoint, said: MutableTraffic, at: Span): Scenario {
    const sender = this.#resolve("sender", from);
    const receiver = this.#resolve("receiver", to);
    const given = [from.claimed, ...from.ips, ...to.ips].filter((ip) => ip !== undefined);
    const version = versionOf(said, given, [...sender.ips, ...receiver.ips]);
    if (given.some((ip) => ip.length !== (version === 4 ? 4 : 16))) {
      throw new SourceError(at, "the frame mixes IPv4 and IPv6");
    }
    const ofVersion = (ips: readonly Ip[]) =>
      ips.find((ip) => ip.length === (version === 4 ? 4 : 16));
    const traffic: Traffic = {
      ...said,
      version,
      source: from.claimed ?? ofVersion(from.ips) ?? ofVersion(sender.ips) ??
        DEFAULT_IPS[version][0],
      destination: ofVersion(to.ips) ?? ofVersion(receiver.ips) ?? DEFAULT_IPS[version][1],
      sourcePort: from.port ?? SOURCE_PORT,
      destinationPort: to.port ?? DESTINATION_PORT,
    };
    const etherType = etherTypeOf(traffic);
    const macSource = from.mac ?? sender.macs[0] ?? macOf(sender.address, SCENARIO_NETWORK);
    const isArp = etherType === ETHERTYPES.get("arp");
    const macDestination = to.group ?? to.mac ??
      (isArp ? BROADCAST_MAC : receiver.macs[0] ?? macOf(receiver.address, SCENARIO_NETWORK));
    const payload = buildPayload(traffic);
    // Whoever has no address of this version is given the one in the frame, as a controller would.
    const withAddress = (member: Member, ip: Ip) =>
      ofVersion(member.ips) ? member : { ...member, ips: [...member.ips, ip] };
    return {
      from: from.claimed ? sender : withAddress(sender, traffic.source),
      to: withAddress(receiver, traffic.destination),
      frame: { macSource, macDestination, etherType, payload },
    };
  }

  #endpoint(line: Line): Endpoint {
    const said: Endpoint = { ips: [], tags: new Map(), capabilityIds: new Set() };
    const first = line.peek();
    while (line.peek() && !FRAME_WORDS.has(line.peek()!.text)) this.#part(line, said);
    if (line.peek() === first) {
      throw new SourceError(first ?? line.end, "nobody is named", ENDPOINT);
    }
    return said;
  }

  #part(line: Line, said: Endpoint): void {
    const word = line.take(ENDPOINT);
    const { text } = word;
    const member = this.#members.get(text);
    const mac = /[:-]/.test(text) ? parseMac(text) : undefined;
    if (member) said.base = member;
    else if (text === "anyone") return;
    else if (text === "broadcast") said.group = BROADCAST_MAC;
    else if (text === "multicast") said.group = MULTICAST_MAC;
    else if (text === "as") said.claimed = ipOf(line.take("an IP address"));
    else if (text.startsWith("tag:")) this.#tagPart(word, said);
    else if (text.startsWith("cap:")) said.capabilityIds.add(this.#capability(after(word, 4)));
    else if (mac !== undefined) said.mac = mac;
    else if (parseIp(text)) said.ips.push(parseIp(text)!);
    else if (parseAddress(text)) said.address = parseAddress(text);
    else {
      const close = suggest(text, [...this.#members.keys(), ...FRAME_WORDS]);
      const expected = ENDPOINT + (close === undefined ? "" : ` (did you mean "${close}"?)`);
      throw new SourceError(word, `nobody is called "${text}"`, expected);
    }
  }

  /** "tag:role=guest", or "tag:guest" when only one tag has such a value. */
  #tagPart(word: Word, said: Endpoint): void {
    const [name, value] = after(word, 4).text.split("=");
    if (value !== undefined) {
      const tag = this.#tag({ ...after(word, 4), text: name });
      said.tags.set(tag.id, this.#tagValue(tag, after(word, 5 + name.length)));
      return;
    }
    const found = this.book.tags.filter(({ enums = {}, flags = {} }) =>
      Object.hasOwn(enums, name) || Object.hasOwn(flags, name)
    );
    if (found.length !== 1) {
      const count = found.length === 0 ? "no tag has" : `${found.length} tags have`;
      throw new SourceError(word, `${count} a value "${name}"`, "tag:NAME=VALUE");
    }
    said.tags.set(found[0].id, this.#tagValue(found[0], after(word, 4)));
  }

  #tag(word: Word): BookTag {
    const tag = this.book.tags.find(({ name, id }) => name === word.text || `${id}` === word.text);
    if (tag) return tag;
    const number = parseNumber(word.text);
    if (number !== undefined) return { id: number, default: null };
    const names = this.book.tags.map(({ name, id }) => name ?? `${id}`);
    throw new SourceError(word, `there is no tag "${word.text}"`, `one of: ${names.join(", ")}`);
  }

  #tagValue({ enums = {}, flags = {} }: BookTag, word: Word): number {
    const named = Object.hasOwn(flags, word.text) ? flags[word.text] : enums[word.text];
    const value = named ?? parseNumber(word.text);
    if (value === undefined) {
      const names = [...Object.keys(flags), ...Object.keys(enums)];
      const expected = ["a number", ...names].join(", ");
      throw new SourceError(word, `"${word.text}" is not a value of this tag`, expected);
    }
    return value >>> 0;
  }

  #capability(word: Word): number {
    const { capabilities } = this.book;
    const found = capabilities.find(({ name, id }) => name === word.text || `${id}` === word.text);
    if (found) return found.id;
    const names = capabilities.map(({ name, id }) => name ?? `${id}`);
    throw new SourceError(
      word,
      `there is no capability "${word.text}"`,
      `one of: ${names.join(", ")}`,
    );
  }

  #address(word: Word): Address {
    const address = parseAddress(word.text);
    if (!address) {
      throw new SourceError(
        word,
        `"${word.text}" is no member`,
        "a member's name or 10 hexadecimal digits",
      );
    }
    return address;
  }

  #resolve(name: string, said: Endpoint): Member {
    const adds = said.tags.size > 0 || said.capabilityIds.size > 0 || said.address !== undefined;
    const owner = [...this.#members.values()].find(({ ips }) =>
      ips.some((ip) => said.ips.some((other) => sameIp(ip, other)))
    );
    const base = said.base ?? (adds ? undefined : owner);
    if (!base) return this.#make(name, said, said.mac === undefined ? [] : [said.mac]);
    return {
      ...base,
      address: said.address ?? base.address,
      ips: [...base.ips, ...said.ips],
      tags: new Map([...base.tags, ...said.tags]),
      capabilityIds: new Set([...base.capabilityIds, ...said.capabilityIds]),
    };
  }

  #make(name: string, said: Endpoint, macs: readonly Mac[]): Member {
    const { book } = this;
    const defaults = book.tags.filter((tag) => tag.default !== null)
      .map((tag): [number, number] => [tag.id, tag.default! >>> 0]);
    const granted = book.capabilities.filter((held) => held.default).map(({ id }) => id);
    const address = said.address ?? (FIRST_ADDRESS + this.#addressesUsed++) as Address;
    return {
      name: name === "sender" || name === "receiver" ? `${name} ${formatAddress(address)}` : name,
      address,
      ips: said.ips,
      macs,
      tags: new Map([...defaults, ...said.tags]),
      capabilityIds: new Set([...granted, ...said.capabilityIds]),
    };
  }
}

type MutableTraffic = { -readonly [K in keyof Traffic]?: Traffic[K] };

const ENDPOINT = "a member, an address, an IP, tag:VALUE, cap:NAME, anyone, broadcast or multicast";
const MEMBER_WORDS = "address, ip, mac, tag or cap";
const TCP_FLAGS = new Map(
  [...CHARACTERISTICS].filter(([name]) => name.startsWith("tcp_")).map((
    [name, bit],
  ) => [name.slice(4), bit]),
);
const FRAME_WORDS = new Set([
  ..."from to port type code tos size icmp ipprotocol ethertype expect member".split(" "),
  ...PROTOCOLS.keys(),
  ...ETHERTYPES.keys(),
  ...TCP_FLAGS.keys(),
]);

/** The part of a word from its `count`th character on. */
function after(word: Word, count: number): Word {
  return {
    ...word,
    text: word.text.slice(count),
    column: word.column + count,
    length: Math.max(word.length - count, 1),
  };
}

function ipOf(word: Word): Ip {
  const ip = parseIp(word.text);
  if (!ip) {
    throw new SourceError(word, `"${word.text}" is not an IP address`, "an IP without /bits");
  }
  return ip;
}

function macWord(word: Word): Mac {
  const mac = parseMac(word.text);
  if (mac === undefined) {
    throw new SourceError(word, `"${word.text}" is not a MAC address`, "12 hexadecimal digits");
  }
  return mac;
}

/** @returns false when the word says nothing about traffic */
function readTraffic(word: Word, line: Line, traffic: MutableTraffic): boolean {
  const { text } = word;
  const flag = TCP_FLAGS.get(text);
  if (flag !== undefined) traffic.tcpFlags = (traffic.tcpFlags ?? 0) | (1 << flag);
  else if (text === "type") traffic.icmpType = line.number(255);
  else if (text === "code") traffic.icmpCode = line.number(255);
  else if (text === "tos") traffic.tos = line.number(255);
  else if (text === "size") traffic.sizeBytes = line.number(10_000);
  else if (text === "icmp") traffic.protocol = "icmp";
  else if (text === "ipprotocol") traffic.protocol = line.number(255);
  else if (text === "ethertype") traffic.etherType = etherTypeWord(line);
  else if (text === "ipv4" || text === "ipv6") traffic.version = text === "ipv4" ? 4 : 6;
  else if (ETHERTYPES.has(text)) traffic.etherType = ETHERTYPES.get(text);
  else if (PROTOCOLS.has(text)) traffic.protocol = PROTOCOLS.get(text);
  else return false;
  return true;
}

function etherTypeWord(line: Line): number {
  const named = ETHERTYPES.get(line.peek()?.text ?? "");
  if (named === undefined) return line.number(0xffff);
  line.take("");
  return named;
}

function versionOf(said: MutableTraffic, given: readonly Ip[], owned: readonly Ip[]): 4 | 6 {
  if (said.version) return said.version;
  if (said.protocol === 1) return 4;
  if (said.protocol === 0x3a) return 6;
  const deciding = given[0] ?? (owned.some((ip) => ip.length === 4) ? undefined : owned[0]);
  return deciding?.length === 16 ? 6 : 4;
}
