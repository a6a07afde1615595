/**
 * Firewalls and NATs of hosts of the lab, told to the kernel's nftables by netlink: no program has
 * to be installed. Of the language only what the tests' routers need, IPv4 alone.
 *
 * Source: `linux/netfilter/nf_tables.h`, `linux/netfilter/nfnetlink.h`; what comes of it reads like `nft list ruleset`.
 * @module
 */
import type { LabHost } from "../../cli/engine/lab.ts";
import { check, errno, systemError } from "../../ffi/linux/errno.ts";
import { libc } from "../../ffi/linux/libc.ts";
import {
  messagesIn,
  MessageWriter,
  NLM_F_ACK,
  NLM_F_CREATE,
} from "../../ffi/linux/netlink_message.ts";
import { AF_INET, AF_NETLINK } from "../../ffi/linux/sockaddr.ts";
import { closeFd, O_CLOEXEC } from "../../ffi/linux/system.ts";
import { parseIp } from "../../lib/base/ip.ts";

const SOCK_RAW = 3;
const NETLINK_NETFILTER = 12;
const NLMSG_ERROR = 2;
const RECEIVE_LENGTH = 65_536;

// linux/netfilter/nfnetlink.h
const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;
const SUBSYSTEM_NFTABLES = 10;
const NESTED = 0x8000;

// nf_tables.h: messages, and the attributes of each; every number is big-endian
const NEW_TABLE = 0;
const DELETE_TABLE = 2;
const NEW_CHAIN = 3;
const NEW_RULE = 6;
const APPEND = 0x800;
const LIST_ELEMENT = 1;
const REGISTER = 1;
const PROTOCOL_KEY = 16; // NFT_META_L4PROTO
const DEVICE_KEYS = { iif: 4, oif: 5 } as const;
const NETWORK_HEADER = 1;
const TRANSPORT_HEADER = 2;
const VERDICTS = { drop: 0, accept: 1 } as const;
const RANDOM_FULLY = 16;

/** Where packets pass, and what kind of chain may look at them there: hook and priority. */
const HOOKS = {
  prerouting: { type: "nat", hook: 0, priority: -100 },
  input: { type: "filter", hook: 1, priority: 0 },
  forward: { type: "filter", hook: 2, priority: 0 },
  postrouting: { type: "nat", hook: 4, priority: 100 },
} as const;

/** What a packet has to be. */
export type Match =
  /** Index of the device it came by or leaves by. */
  | { readonly iif: number }
  | { readonly oif: number }
  | { readonly protocol: "tcp" | "udp" }
  /** To that port; after `protocol`. */
  | { readonly port: number }
  /** To or from that IPv4 address. */
  | { readonly to: string }
  | { readonly from: string };

/** What happens to it then. */
export type Verdict =
  | "accept"
  | "drop"
  | "masquerade"
  /** With a port of chance for every flow. */
  | "masquerade fully-random"
  | { readonly dnat: string };

/** A rule: all matches, then the verdict. */
export type Rule = readonly [...Match[], Verdict];

/** Rules by where they look. */
export type Chains = { readonly [hook in keyof typeof HOOKS]?: readonly Rule[] };

/** Makes a table of rules in a host. @throws {SystemError} */
export function addTable(host: LabHost, name: string, chains: Chains): void {
  const messages = [message(NEW_TABLE, NLM_F_CREATE).attributeText(1, name)];
  for (const [chain, rules] of Object.entries(chains)) {
    const { type, hook, priority } = HOOKS[chain as keyof typeof HOOKS];
    const made = message(NEW_CHAIN, NLM_F_CREATE).attributeText(1, name).attributeText(3, chain);
    made.nest(NESTED | 4, () => {
      number(made, 1, hook);
      number(made, 2, priority);
    });
    messages.push(made.attributeText(7, type));
    for (const rule of rules) messages.push(ruleMessage(name, chain, rule));
  }
  commit(host, `add the firewall ${name}`, messages);
}

/** Removes a table with all its rules. @throws {SystemError} */
export function removeTable(host: LabHost, name: string): void {
  commit(host, `remove the firewall ${name}`, [message(DELETE_TABLE, 0).attributeText(1, name)]);
}

function ruleMessage(table: string, chain: string, rule: Rule): MessageWriter {
  const made = message(NEW_RULE, NLM_F_CREATE | APPEND);
  made.attributeText(1, table).attributeText(2, chain);
  return made.nest(NESTED | 4, () => {
    for (const part of rule) expressions(made, part);
  });
}

function expressions(m: MessageWriter, part: Match | Verdict): void {
  if (typeof part === "string") {
    if (part === "accept" || part === "drop") verdict(m, VERDICTS[part]);
    else expression(m, "masq", () => part === "masquerade" || number(m, 1, RANDOM_FULLY));
  } else if ("protocol" in part) {
    meta(m, PROTOCOL_KEY);
    equals(m, Uint8Array.of(part.protocol === "tcp" ? 6 : 17));
  } else if ("port" in part) {
    payload(m, TRANSPORT_HEADER, 2, 2);
    equals(m, Uint8Array.of(part.port >> 8, part.port & 0xff));
  } else if ("to" in part || "from" in part) {
    const [offset, ip] = "to" in part ? [16, part.to] : [12, part.from];
    payload(m, NETWORK_HEADER, offset, 4);
    equals(m, parseIp(ip)!);
  } else if ("dnat" in part) {
    expression(m, "immediate", () => {
      number(m, 1, REGISTER);
      m.nest(NESTED | 2, () => m.attribute(1, parseIp(part.dnat)!));
    });
    expression(m, "nat", () => {
      number(m, 1, 1 /* destination */);
      number(m, 2, AF_INET);
      number(m, 3, REGISTER);
    });
  } else {
    const [[key, index]] = Object.entries(part);
    meta(m, DEVICE_KEYS[key as keyof typeof DEVICE_KEYS]);
    equals(m, new Uint8Array(Uint32Array.of(index).buffer)); // in the machine's order, unlike the rest
  }
}

function verdict(m: MessageWriter, code: number): void {
  expression(m, "immediate", () => {
    number(m, 1, 0 /* the register of verdicts */);
    m.nest(NESTED | 2, () => m.nest(NESTED | 2, () => number(m, 1, code)));
  });
}

function meta(m: MessageWriter, key: number): void {
  expression(m, "meta", () => {
    number(m, 1, REGISTER);
    number(m, 2, key);
  });
}

function payload(m: MessageWriter, header: number, offset: number, length: number): void {
  expression(m, "payload", () => {
    for (const [i, value] of [REGISTER, header, offset, length].entries()) number(m, i + 1, value);
  });
}

function equals(m: MessageWriter, bytes: Uint8Array): void {
  expression(m, "cmp", () => {
    number(m, 1, REGISTER);
    number(m, 2, 0 /* equal */);
    m.nest(NESTED | 3, () => m.attribute(1, bytes));
  });
}

function expression(m: MessageWriter, name: string, fill: () => void): void {
  m.nest(NESTED | LIST_ELEMENT, () => m.attributeText(1, name).nest(NESTED | 2, fill));
}

function number(m: MessageWriter, attribute: number, value: number): void {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value);
  m.attribute(attribute, bytes);
}

function message(type: number, flags: number): MessageWriter {
  const made = new MessageWriter(SUBSYSTEM_NFTABLES << 8 | type, flags | NLM_F_ACK);
  return made.u8(AF_INET).u8(0).u16(0);
}

/** The end of a change: what stands between both happens together, or not at all. */
function bracket(type: number): MessageWriter {
  return new MessageWriter(type, 0).u8(0).u8(0).u8(0).u8(SUBSYSTEM_NFTABLES);
}

function commit(host: LabHost, operation: string, messages: readonly MessageWriter[]): void {
  const all = [bracket(BATCH_BEGIN), ...messages, bracket(BATCH_END)];
  const bytes = all.flatMap((one, sequence) => [...one.finish(sequence)]);
  const batch = Uint8Array.from(bytes);
  const type = SOCK_RAW | O_CLOEXEC;
  const fd = host.run(() => check(operation, libc().socket(AF_NETLINK, type, NETLINK_NETFILTER)));
  try {
    check(operation, libc().send(fd, batch, BigInt(batch.length), 0));
    awaitAnswers(fd, operation, messages.length);
  } finally {
    closeFd(fd);
  }
}

/** Every message is answered, the last one last; the first that is refused ends it. */
function awaitAnswers(fd: number, operation: string, last: number): void {
  const received = new Uint8Array(new ArrayBuffer(RECEIVE_LENGTH));
  for (;;) {
    const length = libc().recv(fd, received, BigInt(RECEIVE_LENGTH), 0);
    if (length < 0) throw systemError(operation, errno());
    for (const answer of messagesIn(received.subarray(0, length))) {
      if (answer.type !== NLMSG_ERROR) continue;
      const refused = -answer.body.getInt32(0, true);
      if (refused !== 0) throw systemError(operation, refused);
      if (answer.sequence === last) return;
    }
  }
}
