/**
 * A network's servers as a block of lines on top of `resolv.conf`: marked with network and node, so that taking it away
 * needs no memory of what was there before, and leaves every other line as it is.
 *
 * The file knows no domains with servers of their own: ours are asked first for every name, the others when ours do not
 * answer. Where the file has a list of domains to search already, that one stays in force: the last one counts.
 *
 * Source: resolv.conf(5).
 * @module
 */
import { formatIp } from "../../../lib/base/ip.ts";
import type { LinkResolver } from "./network_dns.ts";

/** The text with the block of this owner on top, in place of the one it had. @param owner Network and node */
export function withBlock(text: string, owner: string, dns: LinkResolver): string {
  const lines = dns.servers.map((ip) => `nameserver ${formatIp(ip)}\n`).join("");
  const searched = dns.domains.filter(({ isSearched }) => isSearched).map(({ name }) => name);
  const search = searched.length > 0 ? `search ${searched.join(" ")}\n` : "";
  const block = `${beginOf(owner)}\n${search}${lines}${endOf(owner)}\n`;
  return block + withoutBlock(text, owner);
}

/** The text without the block of this owner; as it is when there is none, or somebody cut it in two. */
export function withoutBlock(text: string, owner: string): string {
  const begin = text.indexOf(`${beginOf(owner)}\n`);
  const end = text.indexOf(`${endOf(owner)}\n`, begin);
  if (begin < 0 || end < 0) return text;
  return text.slice(0, begin) + text.slice(end + endOf(owner).length + 1);
}

/** Owners ending like this that have a block: what a crash left. @param node Part of the owner after the network */
export function ownersIn(text: string, node: string): string[] {
  return text.split("\n").flatMap((line) => {
    const owner = /^# zt begin (\S+)$/.exec(line)?.[1];
    return owner?.endsWith(node) ? [owner] : [];
  });
}

function beginOf(owner: string): string {
  return `# zt begin ${owner}`;
}

function endOf(owner: string): string {
  return `# zt end ${owner}`;
}
