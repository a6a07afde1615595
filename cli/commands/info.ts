/**
 * `zt info`: what this node is, and whether it is online.
 * @module
 */
import type { StatusInfo } from "../api/view.ts";
import { command } from "../command.ts";
import { isObject, type Json } from "../engine/json.ts";
import { render, requireService, table } from "./context.ts";

/** `zt info`. */
export const info = command("info", "What this node is, and whether it is online")
  .alias("status")
  .example("zt info")
  .action(async (call) => {
    const status = await requireService(call).call("GET", "/status") as StatusInfo;
    render(call, status, infoText);
  });

function infoText(status: StatusInfo): string {
  const settings = isObject(status.config.settings) ? status.config.settings : {};
  const online = status.tcpFallbackActive
    ? "online, through a TCP relay: UDP seems to be blocked"
    : status.online
    ? "online"
    : "offline: no root answers yet; check the network, and the planet with: zt planet show";
  const version = status.ztVersion
    ? `zt ${status.ztVersion} (speaks as ${status.version})`
    : status.version;
  return table([
    ["address", status.address],
    ["state", online],
    ["version", version],
    ["planet", BigInt(status.planetWorldId).toString(16).padStart(16, "0")],
    ["listening", listText(settings.listeningOn)],
    ["seen as", listText(settings.surfaceAddresses)],
    ...status.ztHttpProxy === undefined ? [] : [["HTTP proxy", status.ztHttpProxy]],
    ...dataPlaneRow(status),
    ["home", String(settings.homeDir ?? "?")],
    ["identity", status.publicIdentity],
  ]);
}

/** Without any of the system's help with many packets at once it still works, only slower: a hint where to look. */
function dataPlaneRow({ ztDataPlane }: StatusInfo): [string, string][] {
  if (ztDataPlane === undefined) return [];
  const uses = ztDataPlane.split(" ").filter((use) => use !== "");
  const many = uses.some((use) => use !== "AES");
  const hint = "one packet at a time (see settings.dataPlane in local.conf)";
  return [["data plane", [...many ? [] : [hint], ...uses].join(" ")]];
}

function listText(value: Json | undefined): string {
  return Array.isArray(value) && value.length > 0 ? value.join(", ") : "-";
}
