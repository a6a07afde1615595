/**
 * `zt controller member`: who is let into a network.
 * @module
 */
import { UsageError } from "../../lib/base/errors.ts";
import { formatNetworkId } from "../../lib/base/ids.ts";
import { parseIp } from "../../lib/base/ip.ts";
import { type Call, command, type CommandSpec, group } from "../command.ts";
import { isObject, type Json, type JsonObject } from "../engine/json.ts";
import { addressOf, networkIdOf, render, requireService, table } from "./context.ts";
import {
  callController,
  controllerObject,
  MEMBER_SETTINGS,
  parseAssignments,
} from "./controller_words.ts";

const list = command("list <network>", "The members of a network, and who waits to become one")
  .example("zt controller member list 8056c2e21c000001")
  .action(async (call) => {
    const id = formatNetworkId(networkIdOf(call.argument(0)));
    const api = requireService(call);
    const root = `/controller/network/${id}/member`;
    const found = await callController(api, "GET", root, `network ${id}`);
    const members: Json[] = [];
    for (const address of isObject(found) ? Object.keys(found).sort() : []) {
      const what = `member ${address} in network ${id}`;
      members.push(await controllerObject(api, "GET", `${root}/${address}`, what));
    }
    render(call, members, (value) => listText(value, id));
  });

function listText(members: Json[], id: string): string {
  if (members.length === 0) return `nobody has asked to join yet; others type: zt join ${id}\n`;
  const rows = members.filter(isObject).map((member) => [
    String(member.address),
    member.authorized === true ? "authorized" : "waiting",
    String(member.name || "-"),
    addressesText(member) || "-",
    versionText(member),
  ]);
  return table([["member", "access", "name", "addresses", "version"], ...rows]);
}

const show = command("show <network> <member>", "One member, in full")
  .example("zt controller member show 8056c2e21c000001 a0b1c2d3e4")
  .action(async (call) => {
    const { api, path, what } = target(call);
    render(call, await controllerObject(api, "GET", path, what), memberText);
  });

const set = command("set <network> <member> [key=value...]", "Change a member")
  .option("--name <name>", "call it this: the other members find it as <name>.<network>.zt")
  .option("--ip <address>", "give it this address, and no other")
  .example("zt controller member set 8056c2e21c000001 a0b1c2d3e4 --name nas --ip 10.147.17.5")
  .action(async (call) => {
    const { api, path, what } = target(call);
    const ip = call.text("ip");
    if (ip !== undefined && !parseIp(ip)) {
      throw new UsageError(`"${ip}" is not an address like 10.147.17.5`);
    }
    const name = call.text("name");
    const settings = {
      ...(name === undefined ? {} : { name }),
      ...(ip === undefined ? {} : { ipAssignments: [ip] }),
      ...parseAssignments(call.args.slice(2), MEMBER_SETTINGS),
    };
    if (Object.keys(settings).length === 0) throw new UsageError("name something to change");
    render(call, await controllerObject(api, "POST", path, what, settings), memberText);
  });

const remove = command("delete <network> <member>", "Forget a member; asking again brings it back")
  .example("zt controller member delete 8056c2e21c000001 a0b1c2d3e4")
  .action(async (call) => {
    const { api, path, what } = target(call);
    render(call, await controllerObject(api, "DELETE", path, what), () => `deleted ${what}\n`);
  });

/** `authorize` also before the member ever asked: it is let in at once then. */
function decision(name: string, summary: string, authorized: boolean): CommandSpec {
  return command(`${name} <network> <members...>`, summary)
    .example(`zt controller member ${name} 8056c2e21c000001 a0b1c2d3e4`)
    .action(async (call) => {
      const [network, ...addresses] = call.args;
      const decided: Json[] = [];
      for (const address of addresses) {
        const { api, path, what } = target(call, network, address);
        decided.push(await controllerObject(api, "POST", path, what, { authorized }));
      }
      const word = authorized ? "authorized" : "no longer authorized";
      render(
        call,
        decided,
        () => addresses.map((address) => `${address} is ${word} on ${network}\n`).join(""),
      );
    });
}

/** `zt controller member`. */
export const controllerMember = group("member", "Who is let into a network", [
  list,
  show,
  decision("authorize", "Let members in", true),
  decision("deauthorize", "Put members out", false),
  set,
  remove,
]).example("zt controller member authorize 8056c2e21c000001 a0b1c2d3e4");

function target(call: Call, network = call.argument(0), member = call.argument(1)) {
  const id = formatNetworkId(networkIdOf(network));
  const address = addressOf(member);
  const path = `/controller/network/${id}/member/${address}`;
  return { api: requireService(call), path, what: `member ${address} in network ${id}` };
}

function memberText(member: JsonObject): string {
  return table([
    ["member", String(member.address)],
    ["network", String(member.nwid)],
    ["name", String(member.name || "-")],
    ["access", member.authorized === true ? "authorized" : "not authorized"],
    ["addresses", addressesText(member) || "-"],
    ["bridge", member.activeBridge === true ? "yes" : "no"],
    ["version", versionText(member)],
    ["revision", String(member.revision)],
  ]);
}

function addressesText(member: JsonObject): string {
  return Array.isArray(member.ipAssignments) ? member.ipAssignments.join(",") : "";
}

function versionText({ vMajor, vMinor, vRev }: JsonObject): string {
  return typeof vMajor === "number" && vMajor >= 0 ? `${vMajor}.${vMinor}.${vRev}` : "-";
}
