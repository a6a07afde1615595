/**
 * `zt names`: what the members of networks are called, and who answers for the names.
 * @module
 */
import { ApiError } from "../../lib/base/errors.ts";
import { formatNetworkId } from "../../lib/base/ids.ts";
import type { NamesInfo } from "../api/view.ts";
import { command } from "../command.ts";
import { networkIdOf, render, requireService, table } from "./context.ts";

/** `zt names`. */
export const names = command("names [network]", "The names of the members of networks")
  .example("zt names")
  .note(
    "Every member is <name>.<network>.zt, and <address>.<network id>.zt as well. This node answers for the names of its\n" +
      "networks at its own address on each, port 53. Where systemd-resolved runs it is told; elsewhere the file\n" +
      "`resolvConf` in local.conf names is written, for networks with allowDNS.",
  )
  .note('"names": false in the settings of local.conf switches this off for this node.')
  .note(
    "Names are given and handed out by the controller: zt controller member set <network> <member> --name nas,\n" +
      "zt controller network set <network> names=true.",
  )
  .action(async (call) => {
    const word = call.args[0];
    const id = word === undefined ? undefined : formatNetworkId(networkIdOf(word));
    const all = await requireService(call).call("GET", "/zt/names") as NamesInfo[];
    const list = all.filter(({ nwid }) => id === undefined || nwid === id);
    if (id !== undefined && list.length === 0) throw new ApiError(404, `${id} is not joined`);
    render(call, list, (value) => value.map(namesText).join("\n") || "no networks joined\n");
  });

function namesText(network: NamesInfo): string {
  const { nwid, domains, members, onDemand } = network;
  if (domains.length === 0) {
    return `${nwid}: ${network.trouble ?? "its controller hands out no names"}\n`;
  }
  const [domain] = domains;
  const rows = members.map(({ name, address, ips }) => [
    `${name}.${domain}`,
    address,
    ips.join(", ") || "-",
  ]);
  const others = members.length > 0
    ? "and others, which the controller is asked for\n"
    : "there are too many to list, and the controller, which knows them, has not joined\n";
  return `${nwid}: ${serverText(network)}\n${table(rows)}${onDemand ? others : ""}`;
}

function serverText({ server, trouble, askedBy }: NamesInfo): string {
  if (server === null) return `names are not answered: ${trouble ?? "no address yet"}`;
  const asked = askedBy === null
    ? "which nothing on this machine asks by itself"
    : `asked by ${askedBy}`;
  return `names are answered at ${server}, ${asked}`;
}
