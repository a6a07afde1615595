/**
 * The names of one network: what is answered to a question.
 *
 *     <member>.<network>.zt   A and AAAA; the member's name, or its address
 *     <network>.zt            SOA and NS; the network's name, or its id
 *     ...in-addr.arpa, ...ip6.arpa   PTR, for addresses of the network
 *
 * Nothing else is ours, and refused.
 * @module
 */
import { toDnsLabel } from "../../../lib/base/dns_label.ts";
import {
  type Address,
  formatAddress,
  formatNetworkId,
  type NetworkId,
  parseNetworkId,
} from "../../../lib/base/ids.ts";
import { contains, type Ip, type Prefix, sameIp, Scope, scopeOf } from "../../../lib/base/ip.ts";
import type { MemberName, NameList } from "../../../lib/credential/member_names.ts";
import {
  addressRecord,
  type Answer,
  type DnsRecord,
  encodeName,
  type Query,
  RecordType,
  ResponseCode,
  soaData,
} from "./message.ts";
import { leadsInto, parseReverse, reverseDomainOf } from "./reverse.ts";

const TOP = "zt";
const TTL_S = 15; // names change within seconds
const NEGATIVE_TTL_S = 5; // a member that just joined is to be found soon
const REACHABLE_SCOPES = new Set<Scope>([
  Scope.PSEUDOPRIVATE,
  Scope.GLOBAL,
  Scope.SHARED,
  Scope.PRIVATE,
]);

/** What a zone is made of. */
export interface ZoneParts {
  readonly network: NetworkId;
  /** As the controller calls it. */
  readonly name: string;
  /** This node, which is the zone's server. */
  readonly self: Address;
  readonly names: NameList;
  /** Own addresses on the network: their prefixes are what reverse names are answered for. */
  readonly prefixes: readonly Prefix[];
}

/** The name of a network as a label, and its id, under which it is always found: no name may look like another's id. */
export function zoneDomains(network: NetworkId, name: string): string[] {
  const id = formatNetworkId(network);
  const label = toDnsLabel(name);
  const labels = label === "" || parseNetworkId(label) !== undefined ? [id] : [label, id];
  return labels.map((one) => `${one}.${TOP}`);
}

export class Zone {
  readonly #parts: ZoneParts;
  /** The network's, the preferred one first. */
  readonly domains: readonly string[];
  readonly #byLabel = new Map<string, MemberName>();
  readonly #ownLabel: string;

  constructor(parts: ZoneParts) {
    this.#parts = parts;
    this.domains = zoneDomains(parts.network, parts.name);
    for (const member of parts.names.members ?? []) {
      this.#byLabel.set(member.label, member);
    }
    // Last, so that nobody's name stands in place of an address.
    for (const member of parts.names.members ?? []) {
      this.#byLabel.set(formatAddress(member.address), member);
    }
    const own = formatAddress(parts.self);
    this.#ownLabel = this.#byLabel.get(own)?.label ?? own;
  }

  /** Looked for, not looked up: a controller may list 90,000, and a table of them takes a second to make. */
  #byIp(ip: Ip): MemberName | undefined {
    if (!this.#isOurs(ip)) return undefined;
    return this.#parts.names.members?.find(({ ips }) => ips.some((one) => sameIp(one, ip)));
  }

  /** A resolver may ask us for every address there is: a controller must not name the internet's. */
  #isOurs(ip: Ip): boolean {
    return scopeOf(ip) !== Scope.GLOBAL || this.#parts.prefixes.some((one) => contains(one, ip));
  }

  /** @returns undefined when only the controller can know */
  answer(query: Query): Answer | undefined {
    const { name, problem } = query;
    if (problem !== undefined) return error(problem);
    const domain = this.domains.find((one) => name === one || name.endsWith(`.${one}`));
    if (domain !== undefined) return this.#forward(query, domain);
    return name.endsWith(".arpa") ? this.#reverse(query) : error(ResponseCode.REFUSED);
  }

  #forward(query: Query, domain: string): Answer | undefined {
    if (query.name === domain) return this.#apex(query, domain);
    const label = query.name.slice(0, -domain.length - 1);
    const member = this.#byLabel.get(label);
    if (!member) return this.#missing(domain);
    const records = member.ips.filter(isReachable).map((ip) => addressRecord(ip, TTL_S));
    return this.#found(query, domain, records);
  }

  #apex(query: Query, domain: string): Answer {
    return this.#found(query, domain, [this.#soa(), {
      type: RecordType.NS,
      ttlS: TTL_S,
      data: encodeName(this.#server),
    }]);
  }

  #reverse(query: Query): Answer | undefined {
    const asked = parseReverse(query.name);
    if (!asked) return error(ResponseCode.REFUSED);
    const prefix = this.#parts.prefixes.find((one) => leadsInto(one, asked));
    const domain = prefix ? reverseDomainOf(prefix, asked.ip) : query.name;
    const isWhole = asked.bits === asked.ip.length * 8;
    const member = isWhole ? this.#byIp(asked.ip) : undefined;
    if (member) {
      const data = encodeName(`${member.label}.${this.domains[0]}`);
      return this.#found(query, domain, [{ type: RecordType.PTR, ttlS: TTL_S, data }]);
    }
    if (!prefix) return error(ResponseCode.REFUSED);
    if (query.name === domain) return this.#apex(query, domain);
    return isWhole ? this.#missing(domain) : this.#found(query, domain, []);
  }

  get #server(): string {
    return `${this.#ownLabel}.${this.domains[0]}`;
  }

  /** Of the records of a name those that were asked for; none of that type is no error. */
  #found({ type }: Query, domain: string, records: readonly DnsRecord[]): Answer {
    const answers = records.filter((one) => type === one.type || type === RecordType.ANY);
    const authorities = answers.length > 0 ? [] : [{ ...this.#soa(), name: domain }];
    return { code: ResponseCode.NOERROR, answers, authorities };
  }

  #missing(domain: string): Answer | undefined {
    if (this.#parts.names.onDemand) return undefined;
    const authorities = [{ ...this.#soa(), name: domain }];
    return { code: ResponseCode.NXDOMAIN, answers: [], authorities };
  }

  #soa(): DnsRecord {
    const data = soaData(this.#server, NEGATIVE_TTL_S);
    return { type: RecordType.SOA, ttlS: NEGATIVE_TTL_S, data };
  }
}

/** Whether an address may be another machine's: a controller must not lead browsers to this machine's own servers. */
function isReachable(ip: Ip): boolean {
  return REACHABLE_SCOPES.has(scopeOf(ip));
}

function error(code: ResponseCode): Answer {
  return { code, answers: [], authorities: [] };
}
