/**
 * Compiles a rule list for one direction of one member into numbers.
 *
 * A list is a chain of yes-or-no questions, so it becomes a graph: every instruction names where to
 * go on after each answer, and what is certain beforehand (a VLAN tag, an own tag, an OR after a
 * set that holds already) takes no instruction at all. A question whose answer is known from one
 * just asked is skipped.
 *
 *     word  meaning
 *     0     operation, see {@linkcode Op}
 *     1     where to go when the raw answer is true (NOT is folded in by exchanging 1 and 2)
 *     2     where to go when it is false
 *     3     where to go on a "hard no", which NOT does not turn round
 *     4..   operands
 *
 * Actions use word 1 for what comes next. Source: spec 04b sections 2.2 to 2.5 and 2.7.
 * @module
 */
import type { Address } from "../../base/ids.ts";
import { type Rule, RuleType } from "../../credential/rule_codec.ts";
import { highOf, lowOf, wordAt } from "./frame_view.ts";
import { isAction } from "./interpreter.ts";
import { ICMP_CODE_MATCHED } from "./matches.ts";
import { FLAG_UNKNOWN_MATCHES, type LocalMember } from "./member.ts";
import { WHOLE_FRAME } from "./verdict.ts";

/** What an instruction does; operands in brackets. */
export const Op = {
  NO_MATCH: 0,
  DROP: 1,
  ACCEPT: 2,
  /** Accept whatever went before */
  PLAIN_ACCEPT: 3,
  SUPER_ACCEPT: 4,
  /** From here on the list accepts super */
  BE_SUPER: 5,
  /** [address high, low] */
  REDIRECT: 6,
  /** [address high, low, length, is watch] */
  COPY: 7,
  /** [address high, low] of the other member */
  REMOTE_ADDRESS: 8,
  /** [high, low] */
  MAC_SOURCE: 9,
  /** [high, low] */
  MAC_DESTINATION: 10,
  /** [offset in the frame, mask, value] */
  IPV4: 11,
  /** [offset in the frame, 4 masks, 4 values] */
  IPV6: 12,
  /** [mask, start, end] */
  TOS: 13,
  /** [protocol] */
  PROTOCOL: 14,
  /** [ethertype] */
  ETHERTYPE: 15,
  /** [type] */
  ICMP_TYPE: 16,
  /** [type, code] */
  ICMP_CODE: 17,
  /** [start, end] */
  SOURCE_PORT: 18,
  /** [start, end] */
  DESTINATION_PORT: 19,
  /** [high mask, low mask] */
  CHARACTERISTICS: 20,
  /** [start, end] */
  FRAME_SIZE: 21,
  /** [probability] */
  RANDOM: 22,
  /** [where to go on a hard yes, id, own value, value, rule type] */
  BOTH_TAGS: 23,
  /** [where to go on a hard yes, id, value] */
  REMOTE_TAG: 24,
  /** [where to go on a hard yes, answer]: the answer is known unless the list accepts super */
  OWN_TAG: 25,
  /** [offset in the frame, length, bits, little, start high, start low, end high, end low] */
  INTEGER: 26,
} as const;

/** Bits of the upper word of the characteristics. */
const CHARACTERISTIC_INBOUND = 0x8000_0000 | 0;
export const CHARACTERISTIC_MULTICAST = 0x4000_0000;
export const CHARACTERISTIC_BROADCAST = 0x2000_0000;
export const CHARACTERISTIC_IP_AUTHENTICATED = 0x1000_0000;
export const CHARACTERISTIC_MAC_AUTHENTICATED = 0x0800_0000;

/** A compiled rule list. */
export interface Program {
  readonly code: Int32Array;
  /** Where it begins */
  readonly start: number;
  /** Whether any instruction looks at header fields of the frame */
  readonly readsHeaders: boolean;
}

/** Whom and what a list is compiled for. */
export interface Target {
  readonly local: LocalMember;
  readonly inbound: boolean;
}

/** @param rules Not kept */
export function compileRules(rules: readonly Rule[], target: Target): Program {
  return new Compiler(target).compile(rules);
}

/** Where evaluation goes on, by whether the set holds so far. */
interface Entries {
  readonly holds: number;
  readonly fails: number;
}

/** An instruction of a match: answers lead to places not decided yet. */
interface Test {
  readonly op: number;
  readonly operands: readonly number[];
  /** NOT has no effect */
  readonly hard?: boolean;
  /** Word 4 is where to go on a hard yes */
  readonly isTag?: boolean;
}

/** Words of an instruction: where to go on each raw answer. Word 3 is the hard no. */
const ANSWER_TRUE = 1;
const ANSWER_FALSE = 2;
/** Facts kept about one place: bounds the work of compiling long sets. */
const FACTS_MAX = 8;

/** The raw answer to a question about the frame, known when an instruction runs. */
interface Fact {
  readonly test: Test;
  readonly answer: number;
}

/** Whether a question may be skipped when its answer is known: tags touch the next DROP, chance is drawn anew. */
function isPure(op: number): boolean {
  return op >= Op.REMOTE_ADDRESS && op !== Op.RANDOM && op !== Op.BOTH_TAGS &&
    op !== Op.REMOTE_TAG &&
    op !== Op.OWN_TAG;
}

class Compiler {
  readonly #code: number[] = [];
  #readsHeaders = false;

  constructor(readonly target: Target) {}

  /** From the last rule to the first, so that all places to go to exist already. */
  compile(rules: readonly Rule[]): Program {
    const end = this.#emit([Op.NO_MATCH]);
    let next: Entries = { holds: end, fails: end };
    for (let i = rules.length - 1; i >= 0; i--) {
      next = isAction(rules[i])
        ? this.#action(rules[i], next)
        : this.#match(rules[i], next, this.#factsAt(rules, i));
    }
    const code = Int32Array.from(this.#code);
    return { code, start: next.holds, readsHeaders: this.#readsHeaders };
  }

  #emit(words: readonly number[]): number {
    const at = this.#code.length;
    this.#code.push(...words);
    return at;
  }

  #action(rule: Rule, next: Entries): Entries {
    const { local, inbound } = this.target;
    const forwardsHere = rule.kind === "forward" && rule.address === local.address;
    // An action whose set failed does nothing, except that a copy meant for us makes the rest of the list generous.
    const fails = inbound && forwardsHere ? this.#emit([Op.BE_SUPER, next.holds]) : next.holds;
    return { holds: this.#takenAction(rule, next.holds), fails };
  }

  #takenAction(rule: Rule, next: number): number {
    switch (rule.type) {
      case RuleType.ACTION_DROP:
        return this.#emit([Op.DROP, next]);
      case RuleType.ACTION_ACCEPT:
        return this.#emit([Op.ACCEPT]);
      case RuleType.ACTION_PRIORITY: // quirk: the end of the list, and nothing more
        return this.#emit([Op.PLAIN_ACCEPT]);
      case RuleType.ACTION_BREAK:
        return this.#emit([Op.NO_MATCH]);
      default:
        return rule.kind === "forward" ? this.#forward(rule, next) : next;
    }
  }

  #forward(rule: Extract<Rule, { kind: "forward" }>, next: number): number {
    const { local, inbound } = this.target;
    if (rule.address === local.address) return inbound ? this.#emit([Op.SUPER_ACCEPT]) : next;
    const to = [highOf(rule.address), lowOf(rule.address)];
    if (rule.type === RuleType.ACTION_REDIRECT) return this.#emit([Op.REDIRECT, next, 0, 0, ...to]);
    const length = rule.length === 0 ? WHOLE_FRAME : rule.length;
    const isWatch = rule.type === RuleType.ACTION_WATCH ? 1 : 0;
    return this.#emit([Op.COPY, next, 0, 0, ...to, length, isWatch]);
  }

  /** What is certain where a match is asked: those before it in its set hold, back to the last OR. */
  #factsAt(rules: readonly Rule[], index: number): Fact[] {
    const facts: Fact[] = [];
    if (rules[index].or) return facts; // asked when what went before failed
    for (let i = index - 1; i >= Math.max(0, index - FACTS_MAX); i--) {
      const rule = rules[i];
      if (rule.or || isAction(rule)) break;
      const test = this.#test(rule);
      if (typeof test === "boolean" || !isPure(test.op)) continue;
      facts.push({ test, answer: rule.not && !test.hard ? ANSWER_FALSE : ANSWER_TRUE });
    }
    return facts;
  }

  #match(rule: Rule, next: Entries, facts: readonly Fact[]): Entries {
    const test = this.#test(rule);
    const skip = rule.or ? next.holds : next.fails; // where the answer changes nothing
    if (typeof test === "boolean") {
      const decided = test ? next.holds : next.fails;
      return rule.or ? { holds: skip, fails: decided } : { holds: decided, fails: skip };
    }
    const asked = this.#instruction(test, rule.not, next, facts);
    if (!rule.or) return { holds: asked, fails: skip };
    // Of an answer that changes nothing a tag match still has its side effect on the next DROP.
    const holds = test.isTag
      ? this.#instruction(test, rule.not, { holds: skip, fails: skip }, [])
      : skip;
    return { holds, fails: asked };
  }

  #instruction(test: Test, not: boolean, next: Entries, facts: readonly Fact[]): number {
    const { holds, fails } = next;
    const inverted = not && !test.hard;
    const targets = inverted ? [fails, holds, fails] : [holds, fails, fails];
    const threaded = targets.map((target, i) =>
      this.#thread(target, isPure(test.op) ? [...facts, { test, answer: i + 1 }] : facts)
    );
    return this.#emit([test.op, ...threaded, ...(test.isTag ? [holds] : []), ...test.operands]);
  }

  /** Skips questions whose answer is known already: lists ask the same ones again and again. */
  #thread(target: number, facts: readonly Fact[]): number {
    for (;;) {
      const fact = facts.find((fact) => this.#answer(target, fact) !== undefined);
      if (!fact) return target;
      target = this.#code[target + this.#answer(target, fact)!];
    }
  }

  /** @returns the answer a fact gives to the question at `target` */
  #answer(target: number, { test, answer }: Fact): number | undefined {
    if (this.#code[target] !== test.op) return undefined;
    if (test.operands.every((operand, i) => this.#code[target + 4 + i] === operand)) return answer;
    const isOne = test.op === Op.ETHERTYPE || test.op === Op.PROTOCOL; // one value excludes all others
    return isOne && answer === ANSWER_TRUE ? ANSWER_FALSE : undefined;
  }

  /** @returns the answer where it is certain, NOT included, else the question */
  #test(rule: Rule): Test | boolean {
    switch (rule.kind) {
      case "address":
        return this.#addressTest(rule.type, rule.address, rule.not);
      case "mac": {
        const op = rule.type === RuleType.MATCH_MAC_SOURCE ? Op.MAC_SOURCE : Op.MAC_DESTINATION;
        return { op, operands: [highOf(rule.mac), lowOf(rule.mac)] };
      }
      case "number":
        return this.#numberTest(rule.type, rule.value, rule.not);
      case "ip":
        return this.#headers(ipTest(rule));
      case "tos":
        return this.#headers({ op: Op.TOS, operands: [rule.mask, rule.start, rule.end] });
      case "icmp":
        // Quirk: without a code to compare NOT has no effect.
        return this.#headers(
          (rule.flags & ICMP_CODE_MATCHED) === 0
            ? { op: Op.ICMP_TYPE, operands: [rule.icmpType], hard: true }
            : { op: Op.ICMP_CODE, operands: [rule.icmpType, rule.icmpCode] },
        );
      case "range":
        return this.#headers({ op: rangeOp(rule.type), operands: [rule.start, rule.end] });
      case "characteristics":
        return this.#characteristicsTest(rule.mask, rule.not);
      case "tag":
        return this.#tagTest(rule);
      case "integer":
        return integerTest(rule);
      default:
        return ((this.target.local.flags & FLAG_UNKNOWN_MATCHES) !== 0) !== rule.not;
    }
  }

  #headers(test: Test): Test {
    this.#readsHeaders = true;
    return test;
  }

  #addressTest(type: number, address: Address, not: boolean): Test | boolean {
    const { local, inbound } = this.target;
    const isOwn = (type === RuleType.MATCH_SOURCE_ZEROTIER_ADDRESS) !== inbound;
    if (isOwn) return (address === local.address) !== not;
    return { op: Op.REMOTE_ADDRESS, operands: [highOf(address), lowOf(address)] };
  }

  #numberTest(type: number, value: number, not: boolean): Test | boolean {
    switch (type) {
      case RuleType.MATCH_ETHERTYPE:
        return { op: Op.ETHERTYPE, operands: [value] };
      case RuleType.MATCH_IP_PROTOCOL:
        return this.#headers({ op: Op.PROTOCOL, operands: [value] });
      case RuleType.MATCH_RANDOM:
        return { op: Op.RANDOM, operands: [value | 0] };
      default: // VLAN id, priority and drop eligibility: a network carries no VLAN tags
        return (value === 0) !== not;
    }
  }

  #characteristicsTest(mask: bigint, not: boolean): Test | boolean {
    const [high, low] = halves(mask);
    if (this.target.inbound && (high & CHARACTERISTIC_INBOUND) !== 0) return !not;
    return this.#headers({ op: Op.CHARACTERISTICS, operands: [high, low] });
  }

  #tagTest(rule: Extract<Rule, { kind: "tag" }>): Test | boolean {
    const { local, inbound } = this.target;
    const { id, value, type } = rule;
    const own = local.tags.find((tag) => tag.id === id)?.value;
    if (type < RuleType.MATCH_TAG_SENDER) {
      if (own === undefined) return false;
      const operands = [id | 0, own | 0, value | 0, type];
      return { op: Op.BOTH_TAGS, operands, isTag: true };
    }
    const looksAtRemote = (type === RuleType.MATCH_TAG_SENDER) === inbound;
    if (looksAtRemote) return { op: Op.REMOTE_TAG, operands: [id | 0, value | 0], isTag: true };
    const answer = own !== undefined && (own === value) !== rule.not;
    if (!inbound) return answer;
    return { op: Op.OWN_TAG, operands: [answer ? 1 : 0], isTag: true, hard: true };
  }
}

/** The two halves of 64 bits, signed. */
function halves(value: bigint): [high: number, low: number] {
  return [Number(BigInt.asIntN(32, value >> 32n)), Number(BigInt.asIntN(32, value))];
}

function rangeOp(type: number): number {
  if (type === RuleType.MATCH_IP_SOURCE_PORT_RANGE) return Op.SOURCE_PORT;
  return type === RuleType.MATCH_IP_DEST_PORT_RANGE ? Op.DESTINATION_PORT : Op.FRAME_SIZE;
}

function ipTest({ type, ip, bits }: Extract<Rule, { kind: "ip" }>): Test {
  if (ip.length === 4) {
    const mask = maskWord(bits);
    const offset = type === RuleType.MATCH_IPV4_SOURCE ? 12 : 16;
    return { op: Op.IPV4, operands: [offset, mask, wordAt(ip, 0) & mask] };
  }
  const offset = type === RuleType.MATCH_IPV6_SOURCE ? 8 : 24;
  const masks = [0, 32, 64, 96].map((before) => maskWord(bits - before));
  // Quirk: host bits of an IPv6 rule are compared too, so such a rule never matches.
  const values = [0, 4, 8, 12].map((at) => wordAt(ip, at));
  return { op: Op.IPV6, operands: [offset, ...masks, ...values] };
}

/** A word whose upper `bits` are set; out of range means none or all. */
function maskWord(bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? -1 : -1 << (32 - bits);
}

function integerTest(rule: Extract<Rule, { kind: "integer" }>): Test {
  const bits = (rule.format & 0x3f) + 1;
  const length = Math.ceil(bits / 8);
  const little = (rule.format & 0x80) !== 0;
  // Quirk: a big-endian number is the low end of an 8-byte word, so it is read further on.
  const offset = little ? rule.index : rule.index + 8 - length;
  const range = [...halves(rule.start), ...halves(rule.end)];
  return { op: Op.INTEGER, operands: [offset, length, bits, little ? 1 : 0, ...range] };
}
