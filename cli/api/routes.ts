/**
 * The routes of the local API: each is a pure function of the request and the service.
 *
 * Source: spec 06 sections 3.3 and 4; paths under `/zt/` are ours.
 * @module
 */
import { ApiError, AssertionError, messageOf } from "../../lib/base/errors.ts";
import { type Address, type NetworkId, parseAddress, parseNetworkId } from "../../lib/base/ids.ts";
import { parseJsonText } from "../../lib/controller/json_text.ts";
import { type AccessPolicy, isAuthorized } from "./auth.ts";
import { isObject, type Json, type JsonObject, parseJson } from "../engine/json.ts";
import {
  type ApiRequest,
  type ApiResponse,
  failure,
  json,
  NOT_FOUND,
  type RouteResult,
} from "./response.ts";
import type { ControllerAnswer, MoonInfo, NetworkSettings, ServiceView } from "./view.ts";
import { answerWebApp } from "./web_app.ts";
import { handleZtRoutes } from "./zt_routes.ts";

const METHODS = new Set([
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "DELETE",
  "OPTIONS",
  "PATCH",
  "CONNECT",
  "TRACE",
]);
const JSONP_NAME = /^[A-Za-z_$][\w$]{0,63}(\.[A-Za-z_$][\w$]{0,63}){0,7}$/; // no markup, no code
const NETWORK_SETTINGS = ["allowManaged", "allowGlobal", "allowDefault", "allowDNS"] as const;

/** Answers a request. Throws nothing but broken invariants. */
export async function answer(
  request: ApiRequest,
  view: ServiceView,
  policy: AccessPolicy,
): Promise<ApiResponse> {
  if (!METHODS.has(request.method)) return { status: 400, body: "" };
  if (!isAuthorized(request, policy)) return wrapJsonp(request, json({}, 401));
  let response: ApiResponse;
  try {
    response = await route(request, view) ?? NOT_FOUND;
  } catch (error) {
    if (error instanceof AssertionError) throw error;
    response = failureOf(error);
  }
  if (request.method === "HEAD") {
    response = { ...response, headers: { ...response.headers, "Accept-Ranges": "bytes" } };
  }
  return wrapJsonp(request, response);
}

function failureOf(error: unknown): ApiResponse {
  const status = error instanceof ApiError && error.status >= 400 ? error.status : 500;
  return failure(status, messageOf(error));
}

function wrapJsonp(request: ApiRequest, response: ApiResponse): ApiResponse {
  const name = request.query.get("jsonp");
  if (name === null || !JSONP_NAME.test(name)) return response;
  const { contentType, body } = response;
  if (contentType !== "application/json" || typeof body !== "string") return response; // or a file
  const argument = body === "" ? "null" : body;
  return { ...response, contentType: "application/javascript", body: `${name}(${argument});` };
}

/** Splits by the first word of the path. Ids are case-insensitive, everything else is not. */
function route(request: ApiRequest, view: ServiceView): RouteResult | Promise<RouteResult> {
  const { path } = request;
  const method = request.method === "HEAD"
    ? "GET"
    : request.method === "PUT"
    ? "POST"
    : request.method;
  if (path === "/app" || path.startsWith("/app/")) {
    return method === "GET" && view.webFile ? answerWebApp(path, view.webFile) : undefined;
  }
  if (/^(\/unstable)?\/controller(\/|$)/.test(path)) return routeController(method, request, view);
  const words = path.split("/").slice(1);
  switch (words[0]) {
    case "network":
      return routeNetwork(method, words, request.body, view);
    case "peer":
      return method === "GET" ? routePeer(words, view) : undefined;
    case "moon":
      return routeMoon(method, words, request.body, view);
    case "config":
      return routeConfig(method, path, request.body, view);
    case "bond":
      return routeBond(method, words, view);
    case "zt":
      return handleZtRoutes(method, words.slice(1), request, view);
    default:
      return method === "GET" ? routeSimple(path, view) : undefined;
  }
}

function routeSimple(path: string, view: ServiceView): RouteResult {
  switch (path) {
    case "/status":
      return json(view.status());
    case "/health": {
      const { clock, online, version, versionBuild, versionMajor, versionMinor, versionRev } = view
        .status();
      return json({ clock, online, version, versionBuild, versionMajor, versionMinor, versionRev });
    }
    case "/metrics":
      return { status: 200, contentType: "text/plain", body: view.metrics() };
    default:
      return undefined;
  }
}

/** The settings of a body: booleans only, anything else is ignored without a word (spec 06 section 4.4). */
export function networkSettings(body: string): Partial<NetworkSettings> {
  const given = parseLeniently(body);
  const settings: Partial<NetworkSettings> = {};
  for (const key of NETWORK_SETTINGS) {
    const value = given[key];
    if (typeof value === "boolean") settings[key] = value;
  }
  return settings;
}

/** The object a body holds, {} when it holds none. */
function parseLeniently(body: string): JsonObject {
  try {
    const value = parseJson(body);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

async function routeNetwork(
  method: string,
  words: string[],
  body: string,
  view: ServiceView,
): Promise<RouteResult> {
  if (words.length === 1) return method === "GET" ? json(view.networks()) : undefined;
  const id = words.length === 2 ? parseNetworkId(words[1]) : undefined;
  if (id === undefined) return undefined;
  switch (method) {
    case "GET":
      return networkOr404(id, view);
    case "POST":
      return json(await view.join(id, networkSettings(body)));
    case "DELETE":
      return json(await view.leave(id) ? { result: true } : {});
    default:
      return undefined;
  }
}

function networkOr404(id: NetworkId, view: ServiceView): ApiResponse {
  const network = view.network(id);
  return network ? json(network) : json({}, 404);
}

function routePeer(words: string[], view: ServiceView): RouteResult {
  if (words.length === 1) return json(view.peers());
  const address = words.length === 2 ? parseAddress(words[1]) : undefined;
  return address === undefined ? undefined : json(view.peer(address) ?? {});
}

function routeMoon(
  method: string,
  words: string[],
  body: string,
  view: ServiceView,
): RouteResult {
  if (words.length === 1) return method === "GET" ? json(view.moons()) : undefined;
  const address = words.length === 2 ? parseAddress(words[1]) : undefined;
  if (address === undefined) return undefined;
  const id = BigInt(address);
  switch (method) {
    case "GET":
      return json(view.moon(id) ?? {});
    case "POST":
      return json(orbit(id, body, view));
    case "DELETE":
      view.deorbit(id);
      return json({ result: true });
    default:
      return undefined;
  }
}

function orbit(id: bigint, body: string, view: ServiceView): MoonInfo | JsonObject {
  const known = view.moon(id);
  if (known && !known.waiting) return known;
  const seed = seedOf(parseLeniently(body).seed);
  if (!seed) return known ?? {};
  view.orbit(id, seed);
  return view.moon(id) ?? {
    id: id.toString(16).padStart(16, "0"),
    roots: [],
    signature: null,
    timestamp: 0,
    updatesMustBeSignedBy: null,
    waiting: true,
  };
}

/**
 * As leniently as the reference: the 16 digits of a moon's id name its seed, and what follows the digits is ignored.
 * Quirk kept: a number is written in decimal, then read as hexadecimal.
 */
function seedOf(given: Json | undefined): Address | undefined {
  const text = typeof given === "string" || typeof given === "number" ? String(given) : "";
  const digits = /^(?:0[xX])?([0-9a-fA-F]{1,16})/.exec(text)?.[1] ?? "";
  return parseAddress(digits.slice(-10).padStart(10, "0"));
}

function routeConfig(method: string, path: string, body: string, view: ServiceView): RouteResult {
  if (path === "/config" && method === "GET") return json(view.config());
  if (path !== "/config/settings" || method !== "POST") return undefined;
  const settings = parseJsonText(body);
  if (isObject(settings)) view.setConfig(settings);
  return json({});
}

function routeBond(method: string, words: string[], view: ServiceView): RouteResult {
  const [, verb, ...args] = words;
  const address = args.length === 1 ? parseAddress(args[0]) : undefined;
  if (verb === "show" && method === "GET" && address !== undefined) {
    const bond = view.bonds?.show(address);
    return bond ? json(bond) : json({}, 400);
  }
  if (verb === "rotate" && method === "POST" && address !== undefined) {
    return json({}, view.bonds?.rotate(address) ? 200 : 400);
  }
  if (verb === "setmtu" && method === "POST" && args.length === 3 && /^\d{1,5}$/.test(args[0])) {
    return setBondMtu(args, view);
  }
  return undefined;
}

/** Quirk kept: the texts are not JSON although the type says so. */
function setBondMtu([mtuText, interfaceName, ip]: string[], view: ServiceView): ApiResponse {
  const mtu = Number(mtuText);
  const refusal = !view.bonds
    ? "Bonding layer isn't active yet"
    : mtu < 68 || mtu > 65_535
    ? "Specified MTU is not reasonable"
    : view.bonds.setMtu(mtu, interfaceName, ip);
  if (refusal === undefined) return json({});
  return { status: 400, contentType: "application/json", body: refusal };
}

async function routeController(
  method: string,
  request: ApiRequest,
  view: ServiceView,
): Promise<RouteResult> {
  if (method !== "GET" && method !== "POST" && method !== "DELETE") return undefined;
  return controllerResponse(await view.controller(method, request.path, request.body));
}

function controllerResponse({ status, json: value, pretty }: ControllerAnswer): ApiResponse {
  if (value === undefined) return { status, body: "" };
  if (status >= 400 && isObject(value) && typeof value.description === "string") {
    return failure(status, value.description);
  }
  if (!pretty) return json(value, status);
  const body = `${JSON.stringify(value, null, "\t")}\n`;
  return { status, contentType: "application/json", body };
}
