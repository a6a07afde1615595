/**
 * `zt networks`: the networks joined, and what those that do not work wait for.
 * @module
 */
import type { NetworkInfo, StatusInfo } from "../api/view.ts";
import { command } from "../command.ts";
import { render, requireService, table } from "./context.ts";
import { networkStateText, signedInText } from "./network_words.ts";

/** `zt networks`. */
export const networks = command("networks", "The networks this node has joined")
  .example("zt networks")
  .note("Scripts may prefer `zt listnetworks`, which prints the columns of the reference.")
  .action(async (call) => {
    const api = requireService(call);
    const list = await api.call("GET", "/network") as NetworkInfo[];
    const { address } = await api.call("GET", "/status") as StatusInfo;
    render(call, list, (value) => networksText(value, address));
  });

function networksText(list: NetworkInfo[], address: string): string {
  if (list.length === 0) return "no networks; join one with: zt join <network>\n";
  const rows = list.map((network) => [
    network.nwid,
    network.name || "-",
    network.status,
    network.portDeviceName || "-",
    network.assignedAddresses.join(",") || "-",
  ]);
  const notes = list.flatMap((network) => {
    const note = network.status === "OK"
      ? signedInText(network, Date.now())
      : networkStateText(network, address);
    return note === undefined ? [] : [`${network.nwid}: ${note}\n`];
  });
  return table([["network", "name", "status", "interface", "addresses"], ...rows]) +
    notes.join("");
}
