/**
 * The controller's part of the local HTTP API: which route a request means, and what an answer looks like. Pure; the
 * listener, tokens and JSONP are `cli/api/`.
 *
 * Source: spec 05 section 9.1.
 * @module
 */
import { type Address, type NetworkId, parseAddress, parseNetworkId } from "../base/ids.ts";
import { JsonTypeError } from "./coerced_fields.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "./json.ts";
import { JsonTextError, parseJsonText } from "./json_text.ts";
import { BODY_LENGTH_MAX } from "./limits.ts";

/** What a path names. */
export type ApiTarget =
  | { readonly what: "controller" }
  | { readonly what: "networks" }
  /** `<address>______`: a new network, number to be chosen */
  | { readonly what: "new network"; readonly controller: string }
  | { readonly what: "network"; readonly network: NetworkId }
  | { readonly what: "members"; readonly network: NetworkId }
  | { readonly what: "member"; readonly network: NetworkId; readonly member: Address }
  | { readonly what: "all networks" }
  | { readonly what: "all members"; readonly network: NetworkId };

export type ApiVerb = "get" | "post" | "delete";

const VERBS: Readonly<Record<string, ApiVerb>> = {
  GET: "get",
  POST: "post",
  PUT: "post",
  DELETE: "delete",
};

/** Verbs a target understands; the rest is 404. */
const ALLOWED: Readonly<Record<ApiTarget["what"], readonly ApiVerb[]>> = {
  "controller": ["get"],
  "networks": ["get", "post"],
  "new network": ["post"],
  "network": ["get", "post", "delete"],
  "members": ["get"],
  "member": ["get", "post", "delete"],
  "all networks": ["get"],
  "all members": ["get"],
};

/**
 * @param path Without query; ids in either case
 * @returns undefined when nothing is there for that method: 404, empty
 */
export function routeApi(
  method: string,
  path: string,
): { readonly verb: ApiVerb; readonly target: ApiTarget } | undefined {
  const verb = Object.hasOwn(VERBS, method) ? VERBS[method] : undefined;
  const target = targetOf(path);
  if (!verb || !target || !ALLOWED[target.what].includes(verb)) return undefined;
  return { verb, target };
}

function targetOf(path: string): ApiTarget | undefined {
  const [root, ...parts] = path.split("/");
  if (root !== "") return undefined;
  if (parts[0] === "unstable") return unstableTarget(parts.slice(1));
  const [controller, networks, network, members, member] = parts;
  if (controller !== "controller" || parts.length > 5) return undefined;
  if (parts.length === 1) return { what: "controller" };
  if (networks !== "network") return undefined;
  if (parts.length === 2) return { what: "networks" };
  const own = /^([0-9a-fA-F]{10})_{6}$/.exec(network);
  if (own && parts.length === 3) return { what: "new network", controller: own[1] };
  const id = parseNetworkId(network);
  if (id === undefined) return undefined;
  if (parts.length === 3) return { what: "network", network: id };
  if (members !== "member") return undefined;
  if (parts.length === 4) return { what: "members", network: id };
  const address = parseAddress(member);
  return address === undefined ? undefined : { what: "member", network: id, member: address };
}

function unstableTarget(parts: readonly string[]): ApiTarget | undefined {
  const [controller, networks, network, members] = parts;
  if (controller !== "controller" || networks !== "network") return undefined;
  if (parts.length === 2) return { what: "all networks" };
  const id = parseNetworkId(network);
  if (id === undefined || members !== "member" || parts.length !== 4) return undefined;
  return { what: "all members", network: id };
}

/** What is sent back. Without `json` the body is empty and has no content type. */
export interface ApiReply {
  readonly status: number;
  readonly json: JsonValue | undefined;
  /** Printed with tabs, keys in the order given, as `GET /controller` is. */
  readonly pretty?: boolean;
}

export const NOT_FOUND: ApiReply = { status: 404, json: undefined };

/** The reference's shape of an error. */
export function errorReply(status: number, description: string): ApiReply {
  return { status, json: { error: status, description } };
}

/** A request body: an object, or {} for any other valid JSON; or the answer that says why it is none. */
export function readBody(
  body: string,
): { readonly fields: JsonObject } | { readonly reply: ApiReply } {
  if (body.length > BODY_LENGTH_MAX) return { reply: errorReply(413, "the body is too large") };
  try {
    const value = parseJsonText(body);
    return { fields: isJsonObject(value) ? value : {} };
  } catch (error) {
    if (error instanceof JsonTextError) return { reply: errorReply(500, error.message) };
    throw error;
  }
}

/** Runs what may meet a type no coercion covers. */
export function catchTypeError<T>(run: () => T): T | ApiReply {
  try {
    return run();
  } catch (error) {
    if (error instanceof JsonTypeError) return errorReply(500, error.message);
    throw error;
  }
}
