/**
 * `zt planet`: roots of one's own instead of the public ones. `create` makes them and prints the
 * one line to type on every other machine; `use` is that line.
 * @module
 */
import { ApiError, UsageError } from "../../lib/base/errors.ts";
import { type Endpoint, formatIp, parseIp, Scope, scopeOf } from "../../lib/base/ip.ts";
import type { Identity } from "../../lib/identity/identity.ts";
import { defaultPlanet } from "../../lib/identity/default_planet.ts";
import type { WorldTemplate } from "../../lib/identity/moon_template.ts";
import type { World } from "../../lib/identity/world.ts";
import { fromBase64Url, toBase64Url } from "../engine/base64.ts";
import type { PlanetInfo } from "../api/view.ts";
import { type Call, command, group } from "../command.ts";
import { type Home, HomeError } from "../engine/home.ts";
import { readPort } from "../engine/home_files.ts";
import { identityTools } from "../engine/identity_tools.ts";
import { ensureOwnIdentity } from "../engine/own_identity.ts";
import {
  checkReplaceable,
  formatRoots,
  formatWorldId,
  installPlanet,
  newPlanetTemplate,
  parsePlanet,
  parseRootEndpoints,
  parseRootIdentity,
  readPlanet,
  readPlanetKey,
  signPlanet,
  stagePlanetKey,
  withRoot,
} from "../engine/planet_files.ts";
import { machinePrimitives } from "../engine/primitives.ts";
import { findService, homeOf, isAnswering, render } from "./context.ts";
import { loadPlanetSource } from "./planet_source.ts";

const DEFAULT_PORT = 9993;

const create = command("create", "Make a planet with this machine as its root")
  .repeated("--endpoint <ip/port>", "where this machine is reached; else its own addresses")
  .option("--replace", "leave the planet in use, and the key of an earlier one, for the new one")
  .example("zt planet create")
  .example("zt planet create --endpoint 203.0.113.7/9993")
  .note("The signing key stays in planet.key in the home folder: keep a copy in a safe place.")
  .action(async (call) => {
    const home = homeOf(call);
    home.create();
    const earlier = readPlanetKey(home);
    if (earlier && !call.flag("replace")) {
      throw new HomeError(
        `${
          home.pathOf("planet.key")
        } makes a planet already; see: zt planet show, or add --replace`,
      );
    }
    const root = { identity: ownIdentity(call, home), endpoints: rootEndpoints(call, home) };
    const tools = identityTools();
    const template = newPlanetTemplate(tools.primitives, tools.random, root);
    await publish(call, home, template);
  });

const show = command("show", "The planet in use, and the line that puts it in use elsewhere")
  .example("zt planet show")
  .action(async (call) => {
    const home = homeOf(call);
    const api = findService(call, home);
    const info = api && await isAnswering(api)
      ? await api.call("GET", "/zt/planet") as PlanetInfo
      : undefined;
    const world = info ? fromBase64Url(info.world) : home.readBytes("planet");
    if (world === undefined) {
      const planet = defaultPlanet();
      const text = `the public planet ${formatWorldId(planet.id)}, built in\n${rootLines(planet)}`;
      render(call, { id: formatWorldId(planet.id), builtIn: true }, () => text);
      return;
    }
    const planet = parsePlanet(world);
    if (!planet) throw new HomeError(`${home.pathOf("planet")} is not a planet; move it away`);
    const value = { id: formatWorldId(planet.id), world: toBase64Url(world) };
    render(call, value, () => `planet ${value.id}\n${rootLines(planet)}${useLine(world)}`);
  });

const addRoot = command("add-root <identity> <endpoints...>", "Add a root, or move one, and sign")
  .example("zt planet add-root 8056c2e21c:0:… 203.0.113.8/9993")
  .note("The new root's own identity is printed there by: zt info")
  .action(async (call) => {
    const home = homeOf(call);
    const [identityText, ...endpointTexts] = call.args;
    const identity = parseRootIdentity(identityText);
    const endpoints = parseRootEndpoints(endpointTexts);
    await publish(call, home, withRoot(requireKey(home), { identity, endpoints }));
  });

const sign = command("sign", "Sign the planet again, after planet.key was edited by hand")
  .example("zt planet sign")
  .action(async (call) => {
    const home = homeOf(call);
    await publish(call, home, requireKey(home));
  });

const use = command("use <planet>", "Put a planet in use: a file, a URL, or its text")
  .option("--replace", "leave the planet in use for this one")
  .example("zt planet use AQAAAH2d…")
  .example("zt planet use https://example.org/planet")
  .action(async (call) => {
    const home = homeOf(call);
    const bytes = await loadPlanetSource(call.argument(0));
    const planet = parsePlanet(bytes);
    if (!planet) throw new UsageError("that is not a planet");
    await putInUse(call, home, bytes, planet, call.flag("replace"));
    const value = { id: formatWorldId(planet.id), roots: planet.roots.length };
    render(call, value, () => `planet ${value.id} is in use\n${rootLines(planet)}`);
  });

/** `zt planet`. */
export const planet = group("planet", "Use roots of your own", [create, show, addRoot, sign, use])
  .example("zt planet create");

function requireKey(home: Home): WorldTemplate {
  const template = readPlanetKey(home);
  if (template) return template;
  throw new HomeError(
    `there is no ${home.pathOf("planet.key")}: make a planet with: zt planet create`,
  );
}

/** Signs, keeps the key, puts the planet in use here and prints the line for elsewhere. */
async function publish(call: Call, home: Home, template: WorldTemplate): Promise<void> {
  const current = readPlanet(home);
  const after = typeof current === "string" ? undefined : current;
  const bytes = signPlanet(machinePrimitives, template, Date.now(), after);
  const planet = parsePlanet(bytes)!; // we have just written it
  const replace = call.flag("replace");
  checkReplaceable(home, planet, replace);
  const key = stagePlanetKey(home, template);
  try {
    await putInUse(call, home, bytes, planet, replace);
  } catch (error) {
    key.drop();
    throw error;
  }
  const aside = key.keep();
  if (aside) call.io.err(`${aside}\n`);
  const value = { id: formatWorldId(planet.id), world: toBase64Url(bytes) };
  const title = `planet ${value.id} is signed and in use here`;
  render(call, value, () => `${title}\n${formatRoots(template.roots)}${useLine(bytes)}`);
}

/** Through the service where one runs, else into the home folder. */
async function putInUse(
  call: Call,
  home: Home,
  bytes: Uint8Array,
  planet: World,
  replace: boolean,
): Promise<void> {
  const api = findService(call, home);
  const reply = await api?.send("GET", "/status");
  if (api && reply && reply.status !== 0) {
    await api.call("POST", "/zt/planet", { world: toBase64Url(bytes), replace });
    return;
  }
  home.create();
  const aside = installPlanet(home, bytes, planet, replace);
  if (aside) call.io.err(`${aside}\n`);
}

function useLine(world: Uint8Array): string {
  return `on every other machine, type:\nzt planet use ${toBase64Url(world)}\n`;
}

function rootLines(planet: World): string {
  return formatRoots(planet.roots.map(({ identity, endpoints }) => ({
    identity,
    endpoints: endpoints.filter((endpoint) => endpoint !== undefined),
  })));
}

function ownIdentity(call: Call, home: Home): Identity {
  let told = false;
  return ensureOwnIdentity(home, identityTools(), () => {
    if (!told) call.io.err("making an identity: about a second\n");
    told = true;
  }).publicOnly();
}

/** Where a root is reached: what the user says, else every address of this machine others could reach. */
function rootEndpoints(call: Call, home: Home): Endpoint[] {
  const given = call.texts("endpoint");
  if (given.length > 0) return parseRootEndpoints(given);
  const port = call.global.port || readPort(home) || DEFAULT_PORT;
  const found = Deno.networkInterfaces()
    .filter(({ name }) => !/^(lo|zt|tun|tap|docker|veth|br-)/.test(name))
    .flatMap(({ address }) => parseIp(address) ?? [])
    .filter((ip) => USABLE_SCOPES.has(scopeOf(ip)));
  const endpoints = [...new Set(found.map(formatIp))].map((text) => ({ ip: parseIp(text)!, port }));
  if (endpoints.length > 0) return endpoints.slice(0, ENDPOINTS_MAX);
  throw new ApiError(0, "this machine has no address others could reach: add --endpoint <ip/port>");
}

const USABLE_SCOPES: ReadonlySet<Scope> = new Set([
  Scope.GLOBAL,
  Scope.PRIVATE,
  Scope.SHARED,
  Scope.PSEUDOPRIVATE,
]);
const ENDPOINTS_MAX = 8; // keeps the line to type short; the wire takes 32
