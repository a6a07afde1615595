/**
 * `zt controller network`: the networks this node is the authority of.
 * @module
 */
import { UsageError } from "../../lib/base/errors.ts";
import { formatNetworkId } from "../../lib/base/ids.ts";
import type { StatusInfo } from "../api/view.ts";
import { type Call, command, group } from "../command.ts";
import { isObject, type Json, type JsonObject } from "../engine/json.ts";
import { ensureService, networkIdOf, render, requireService, table } from "./context.ts";
import {
  addressPool,
  callController,
  controllerObject,
  NETWORK_SETTINGS,
  parseAssignments,
} from "./controller_words.ts";

const ROOT = "/controller/network";

const create = command("create [key=value...]", "Make a network")
  .option("--name <name>", "name shown to its members")
  .option(
    "--public",
    "anybody who knows its id is a member; else members are authorized one by one",
  )
  .option("--ipv4 <network>", "hand out addresses of this network, e.g. 10.147.17.0/24")
  .example("zt controller network create --name office --ipv4 10.147.17.0/24")
  .note(
    "Members of a private network are told each other's names, unless names=false; those of a public one if names=true.",
  )
  .action(async (call) => {
    const given = { ...optionSettings(call), ...parseAssignments(call.args, NETWORK_SETTINGS) };
    const settings = given.private === false ? given : { names: true, ...given };
    const api = await ensureService(call);
    const { address } = await api.call("GET", "/status") as StatusInfo;
    const path = `${ROOT}/${address}______`;
    const made = await controllerObject(api, "POST", path, "network", settings);
    render(call, made, (network) => {
      const id = String(network.id);
      const next = network.private === false
        ? ""
        : `and are let in with: zt controller member authorize ${id} <address>\n`;
      return `${networkText(network)}others join with: zt join ${id}\n${next}`;
    });
  });

const list = command("list", "The networks of this controller")
  .example("zt controller network list")
  .action(async (call) => {
    const api = requireService(call);
    const ids = await api.call("GET", ROOT);
    const networks: Json[] = [];
    for (const id of Array.isArray(ids) ? ids : []) {
      networks.push(await controllerObject(api, "GET", `${ROOT}/${id}`, `network ${id}`));
    }
    render(call, networks, listText);
  });

function listText(networks: Json[]): string {
  if (networks.length === 0) return "no networks; make one with: zt controller network create\n";
  const rows = networks.filter(isObject).map((network) => [
    String(network.id),
    String(network.name || "-"),
    network.private === false ? "public" : "private",
    poolsText(network.ipAssignmentPools) || "-",
  ]);
  return table([["network", "name", "access", "addresses"], ...rows]);
}

const show = command("show <network>", "One network, in full")
  .example("zt controller network show 8056c2e21c000001")
  .action(async (call) => {
    const id = formatNetworkId(networkIdOf(call.argument(0)));
    const network = await controllerObject(
      requireService(call),
      "GET",
      `${ROOT}/${id}`,
      `network ${id}`,
    );
    render(call, network, networkText);
  });

const set = command("set <network> [key=value...]", "Change a network")
  .option("--name <name>", "name shown to its members")
  .option("--public", "anybody who knows its id is a member")
  .option("--private", "members are authorized one by one")
  .option("--ipv4 <network>", "hand out addresses of this network")
  .example("zt controller network set 8056c2e21c000001 mtu=1400 multicastLimit=64")
  .note('A value is JSON where it can be, e.g. \'dns={"domain":"lan","servers":["10.0.0.1"]}\'.')
  .action(async (call) => {
    const id = formatNetworkId(networkIdOf(call.argument(0)));
    const settings = {
      ...optionSettings(call),
      ...parseAssignments(call.args.slice(1), NETWORK_SETTINGS),
    };
    if (Object.keys(settings).length === 0) throw new UsageError("name something to change");
    const api = requireService(call);
    const path = `${ROOT}/${id}`;
    const what = `network ${id}`;
    await callController(api, "GET", path, what); // a POST alone would make it
    render(call, await controllerObject(api, "POST", path, what, settings), networkText);
  });

const remove = command("delete <network>", "Delete a network and forget its members")
  .example("zt controller network delete 8056c2e21c000001")
  .action(async (call) => {
    const id = formatNetworkId(networkIdOf(call.argument(0)));
    const api = requireService(call);
    const gone = await controllerObject(api, "DELETE", `${ROOT}/${id}`, `network ${id}`);
    render(call, gone, () => `deleted ${id}\n`);
  });

/** `zt controller network`. */
export const controllerNetwork = group("network", "Networks of this controller", [
  create,
  list,
  show,
  set,
  remove,
]).example("zt controller network list");

function optionSettings(call: Call): JsonObject {
  if (call.flag("public") && call.flag("private")) {
    throw new UsageError("--public and --private exclude each other");
  }
  const name = call.text("name");
  const ipv4 = call.text("ipv4");
  return {
    ...(name === undefined ? {} : { name }),
    ...(call.flag("public") ? { private: false } : {}),
    ...(call.flag("private") ? { private: true } : {}),
    ...(ipv4 === undefined ? {} : addressPool(ipv4)),
  };
}

function networkText(network: JsonObject): string {
  const rows = [
    ["network", String(network.id)],
    ["name", String(network.name || "-")],
    ["access", network.private === false ? "public" : "private"],
    ["addresses", poolsText(network.ipAssignmentPools) || "none handed out"],
    ["routes", routesText(network.routes) || "-"],
    ["names", network.names === true ? "told to members" : "not told to members"],
    ["mtu", String(network.mtu)],
    ["revision", String(network.revision)],
  ];
  return table(rows);
}

function poolsText(pools: Json | undefined): string {
  if (!Array.isArray(pools)) return "";
  return pools.filter(isObject).map((pool) => `${pool.ipRangeStart}-${pool.ipRangeEnd}`).join(",");
}

function routesText(routes: Json | undefined): string {
  if (!Array.isArray(routes)) return "";
  return routes.filter(isObject)
    .map(({ target, via }) => via ? `${target} via ${via}` : String(target)).join(", ");
}
