/**
 * Runs compiled rule lists on a frame without allocating. Its obvious twin is `interpreter.ts`.
 *
 * Source: spec 04b sections 2.2 to 2.7.
 * @module
 */
import { RuleType } from "../../credential/rule_codec.ts";
import { FrameView, highOf, lowOf, wordAt } from "./frame_view.ts";
import type { TagValue } from "./member.ts";
import type { Address } from "../../base/ids.ts";
import type { OwnedThings } from "./owned_things.ts";
import {
  CHARACTERISTIC_BROADCAST,
  CHARACTERISTIC_IP_AUTHENTICATED,
  CHARACTERISTIC_MAC_AUTHENTICATED,
  CHARACTERISTIC_MULTICAST,
  Op,
  type Program,
} from "./program.ts";
import { ListResult, WHOLE_FRAME } from "./verdict.ts";

/** The other member in the form the evaluator reads. */
export class Counterpart {
  readonly addressHigh: number;
  readonly addressLow: number;
  readonly #tagIds: Int32Array; // ascending as signed numbers
  readonly #tagValues: Int32Array;

  /**
   * @param address 0 when unknown
   * @param tags Those that count; of two with one id the first does
   */
  constructor(readonly address: Address, tags: readonly TagValue[]) {
    this.addressHigh = highOf(address);
    this.addressLow = lowOf(address);
    const byId = new Map<number, number>();
    for (const { id, value } of tags) if (!byId.has(id | 0)) byId.set(id | 0, value | 0);
    const sorted = [...byId].sort(([a], [b]) => a - b);
    this.#tagIds = Int32Array.from(sorted, ([id]) => id);
    this.#tagValues = Int32Array.from(sorted, ([, value]) => value);
  }

  /** @returns a place for {@linkcode tagValue}, -1 when there is no such tag */
  findTag(id: number): number {
    const ids = this.#tagIds;
    let low = 0;
    let high = ids.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (ids[middle] === id) return middle;
      if (ids[middle] < id) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** @returns the value, signed */
  tagValue(place: number): number {
    return this.#tagValues[place];
  }
}

/** Evaluates one program after another on one frame. Results are fields, overwritten by every run. */
export class Evaluator {
  readonly frame = new FrameView();
  /** Whether a TEE or WATCH was executed; the next four are then its target */
  hasCopy = false;
  copyIsWatch = false;
  copyToHigh = 0;
  copyToLow = 0;
  /** Leading bytes of the payload */
  copyLength = 0;
  /** With {@linkcode ListResult.REDIRECT} */
  redirectToHigh = 0;
  redirectToLow = 0;
  readonly #random: () => number;

  /** @param random 32 random bits, unsigned: for MATCH_RANDOM only */
  constructor(random: () => number) {
    this.#random = random;
  }

  /**
   * @param program Compiled for the direction of this frame
   * @param owned Things of the sender: the counterpart's inbound, this member's outbound
   * @returns a {@linkcode ListResult}
   */
  run(program: Program, other: Counterpart, owned: OwnedThings, inbound: boolean): ListResult {
    const { frame } = this;
    if (program.readsHeaders) frame.readHeaders();
    const { code } = program;
    let superAccept = false;
    let skipDrop = false;
    this.hasCopy = false;
    let pc = program.start;
    for (;;) {
      switch (code[pc]) {
        case Op.NO_MATCH:
          return ListResult.NO_MATCH;
        case Op.DROP:
          if (!skipDrop) return ListResult.DROP;
          skipDrop = false;
          pc = code[pc + 1];
          break;
        case Op.ACCEPT:
          return superAccept ? ListResult.SUPER_ACCEPT : ListResult.ACCEPT;
        case Op.PLAIN_ACCEPT:
          return ListResult.ACCEPT;
        case Op.SUPER_ACCEPT:
          return ListResult.SUPER_ACCEPT;
        case Op.BE_SUPER:
          superAccept = true;
          pc = code[pc + 1];
          break;
        case Op.REDIRECT:
          if (code[pc + 5] !== other.addressLow || code[pc + 4] !== other.addressHigh) {
            this.redirectToHigh = code[pc + 4];
            this.redirectToLow = code[pc + 5];
            return ListResult.REDIRECT;
          }
          pc = code[pc + 1];
          break;
        case Op.COPY:
          this.#copy(code, pc, other);
          pc = code[pc + 1];
          break;
        case Op.ETHERTYPE:
          pc = code[frame.etherType === code[pc + 4] ? pc + 1 : pc + 2];
          break;
        case Op.PROTOCOL:
          if (frame.protocol < 0) pc = code[pc + 3];
          else pc = code[frame.protocol === code[pc + 4] ? pc + 1 : pc + 2];
          break;
        case Op.DESTINATION_PORT:
          if (frame.protocol < 0) pc = code[pc + 3];
          else pc = code[isWithin(frame.destinationPort, code, pc + 4) ? pc + 1 : pc + 2];
          break;
        case Op.SOURCE_PORT:
          if (frame.protocol < 0) pc = code[pc + 3];
          else pc = code[isWithin(frame.sourcePort, code, pc + 4) ? pc + 1 : pc + 2];
          break;
        case Op.IPV4:
          if (frame.ipVersion !== 4) pc = code[pc + 3];
          else {
            const address = wordAt(frame.bytes, frame.at + code[pc + 4]);
            pc = code[(address & code[pc + 5]) === code[pc + 6] ? pc + 1 : pc + 2];
          }
          break;
        case Op.IPV6:
          if (frame.ipVersion !== 6) pc = code[pc + 3];
          else pc = code[isInIpv6(frame, code, pc + 4) ? pc + 1 : pc + 2];
          break;
        case Op.CHARACTERISTICS:
          pc = code[this.#hasCharacteristic(code[pc + 4], code[pc + 5], owned) ? pc + 1 : pc + 2];
          break;
        case Op.BOTH_TAGS: {
          const place = other.findTag(code[pc + 5]);
          if (place >= 0) pc = code[compareTags(code, pc, other.tagValue(place)) ? pc + 1 : pc + 2];
          else if (inbound && !superAccept) pc = code[pc + 3];
          else {
            skipDrop = true;
            pc = code[pc + 4];
          }
          break;
        }
        case Op.REMOTE_TAG: {
          const place = superAccept ? -1 : other.findTag(code[pc + 5]);
          if (place >= 0) pc = code[other.tagValue(place) === code[pc + 6] ? pc + 1 : pc + 2];
          else if (inbound && !superAccept) pc = code[pc + 3];
          else {
            skipDrop = true;
            pc = code[pc + 4];
          }
          break;
        }
        case Op.OWN_TAG:
          if (superAccept) {
            skipDrop = true;
            pc = code[pc + 4];
          } else pc = code[code[pc + 5] === 1 ? pc + 1 : pc + 2];
          break;
        case Op.ICMP_TYPE:
          pc = code[frame.icmpType === code[pc + 4] ? pc + 1 : pc + 2];
          break;
        case Op.ICMP_CODE:
          if (frame.icmpType !== code[pc + 4]) pc = code[pc + 3];
          else pc = code[frame.icmpCode === code[pc + 5] ? pc + 1 : pc + 2];
          break;
        default:
          pc = code[pc + this.#rareTest(code, pc, other)];
      }
    }
  }

  /** @returns the word of the instruction that says where to go */
  #rareTest(code: Int32Array, pc: number, other: Counterpart): number {
    const { frame } = this;
    switch (code[pc]) {
      case Op.REMOTE_ADDRESS:
        return code[pc + 5] === other.addressLow && code[pc + 4] === other.addressHigh ? 1 : 2;
      case Op.MAC_SOURCE:
        return code[pc + 5] === frame.macSourceLow && code[pc + 4] === frame.macSourceHigh ? 1 : 2;
      case Op.MAC_DESTINATION: {
        const isLow = code[pc + 5] === frame.macDestinationLow;
        return isLow && code[pc + 4] === frame.macDestinationHigh ? 1 : 2;
      }
      case Op.TOS: {
        if (frame.typeOfService < 0) return 3;
        return isWithin(frame.typeOfService & code[pc + 4], code, pc + 5) ? 1 : 2;
      }
      case Op.FRAME_SIZE:
        return isWithin(frame.length, code, pc + 4) ? 1 : 2;
      case Op.RANDOM:
        return this.#random() <= code[pc + 4] >>> 0 ? 1 : 2;
      default: // Op.INTEGER
        return isIntegerWithin(frame, code, pc + 4) ? 1 : 2;
    }
  }

  #copy(code: Int32Array, pc: number, other: Counterpart): void {
    const high = code[pc + 4];
    const low = code[pc + 5];
    if (low === other.addressLow && high === other.addressHigh) return;
    const { length } = this.frame;
    const wanted = code[pc + 6];
    this.hasCopy = true;
    this.copyToHigh = high;
    this.copyToLow = low;
    this.copyLength = wanted === WHOLE_FRAME || wanted > length ? length : wanted;
    this.copyIsWatch = code[pc + 7] === 1;
  }

  #hasCharacteristic(high: number, low: number, owned: OwnedThings): boolean {
    const { frame } = this;
    if ((frame.tcpBits & low) !== 0) return true;
    if (high === 0) return false;
    const { macDestinationHigh } = frame;
    if ((high & CHARACTERISTIC_MULTICAST) !== 0 && (macDestinationHigh & 0x0100) !== 0) return true;
    if (
      (high & CHARACTERISTIC_BROADCAST) !== 0 && macDestinationHigh === 0xffff &&
      frame.macDestinationLow === -1
    ) return true;
    if ((high & CHARACTERISTIC_IP_AUTHENTICATED) !== 0 && owned.ownsClaim(frame)) return true;
    return (high & CHARACTERISTIC_MAC_AUTHENTICATED) !== 0 && owned.ownsMacSource(frame);
  }
}

function isWithin(value: number, code: Int32Array, at: number): boolean {
  return code[at] <= value && value <= code[at + 1];
}

function isInIpv6(frame: FrameView, code: Int32Array, at: number): boolean {
  const { bytes } = frame;
  const start = frame.at + code[at];
  for (let i = 0; i < 4; i++) {
    if ((wordAt(bytes, start + 4 * i) & code[at + 1 + i]) !== code[at + 5 + i]) return false;
  }
  return true;
}

/** Operands as {@linkcode Op.BOTH_TAGS} has them. Everything is a signed number here, as it is stored. */
function compareTags(code: Int32Array, pc: number, remote: number): boolean {
  const own = code[pc + 6];
  const value = code[pc + 7];
  switch (code[pc + 8]) {
    case RuleType.MATCH_TAGS_DIFFERENCE:
      return Math.abs((own >>> 0) - (remote >>> 0)) <= value >>> 0;
    case RuleType.MATCH_TAGS_BITWISE_AND:
      return (own & remote) === value;
    case RuleType.MATCH_TAGS_BITWISE_OR:
      return (own | remote) === value;
    case RuleType.MATCH_TAGS_BITWISE_XOR:
      return (own ^ remote) === value;
    default:
      return own === value && remote === value;
  }
}

/** 64-bit numbers as two words each: a bigint would allocate. Operands as {@linkcode Op.INTEGER} has them. */
function isIntegerWithin(frame: FrameView, code: Int32Array, at: number): boolean {
  const length = code[at + 1];
  const bits = code[at + 2];
  const little = code[at + 3] === 1;
  let high = 0;
  let low = 0;
  if (code[at] + length <= frame.length) {
    const start = frame.at + code[at];
    for (let i = 0; i < length; i++) {
      high = (high << 8) | (low >>> 24);
      low = (low << 8) | frame.bytes[little ? start + length - 1 - i : start + i];
    }
    const surplus = 8 * length - bits; // 0 to 7
    if (surplus > 0 && little) { // quirk: the upper bits of a little-endian number count
      low = (low >>> surplus) | (high << (32 - surplus));
      high >>>= surplus;
    } else if (surplus > 0) {
      if (bits > 32) high &= (1 << (bits - 32)) - 1;
      else low &= (1 << bits) - 1;
    }
  }
  return isAtMost(code[at + 4], code[at + 5], high, low) &&
    isAtMost(high, low, code[at + 6], code[at + 7]);
}

/** Unsigned comparison of two numbers of 64 bits. */
function isAtMost(aHigh: number, aLow: number, bHigh: number, bLow: number): boolean {
  if (aHigh !== bHigh) return aHigh >>> 0 < bHigh >>> 0;
  return aLow >>> 0 <= bLow >>> 0;
}
