/**
 * Routes the reference does not have, all under `/zt/`:
 *
 *     GET  /zt/status                         what the service is doing
 *     GET  /zt/doctor                         facts to diagnose from; takes a few seconds
 *     GET  /zt/network/<id>/wait?timeout=ms   answers when the network is usable or the time is over
 *     GET  /zt/names                          the names of members, of every network joined
 *     GET  /zt/planet                         the planet in use
 *     POST /zt/planet {"world","replace"}     puts another one in use; `world` is base64url
 *     POST /zt/stop                           ends the service
 *
 * @module
 */
import { ApiError } from "../../lib/base/errors.ts";
import { parseNetworkId } from "../../lib/base/ids.ts";
import { fromBase64Url } from "../engine/base64.ts";
import { isObject, parseJson } from "../engine/json.ts";
import { type ApiRequest, json, type RouteResult } from "./response.ts";
import type { ServiceView } from "./view.ts";

const WAIT_MAX_MS = 60_000; // bounds how long one request holds a connection; the client asks again

/** @param words The path after `/zt/` */
export function handleZtRoutes(
  method: string,
  words: string[],
  request: ApiRequest,
  view: ServiceView,
): RouteResult | Promise<RouteResult> {
  switch (`${method} ${words[0]} ${words.length}`) {
    case "GET status 1":
      return json(view.ztStatus());
    case "GET doctor 1":
      return view.doctor(request.signal).then((facts) => json(facts));
    case "GET network 3":
      return words[2] === "wait" ? waitForNetwork(words[1], request, view) : undefined;
    case "GET names 1":
      return json(view.names());
    case "GET planet 1":
      return json(view.planet());
    case "POST planet 1":
      return usePlanet(request.body, view);
    case "POST stop 1":
      view.stop();
      return json({ result: true });
    default:
      return undefined;
  }
}

async function waitForNetwork(
  idText: string,
  request: ApiRequest,
  view: ServiceView,
): Promise<RouteResult> {
  const id = parseNetworkId(idText);
  if (id === undefined) return undefined;
  const asked = Number(request.query.get("timeout") ?? WAIT_MAX_MS);
  if (!(asked >= 0)) throw new ApiError(400, "timeout must be a number of milliseconds");
  const timeoutMs = Math.min(asked, WAIT_MAX_MS);
  const result = await view.waitNetwork(id, timeoutMs, request.signal);
  return result ? json(result) : json({}, 404);
}

async function usePlanet(body: string, view: ServiceView): Promise<RouteResult> {
  const given = parseJson(body);
  if (!isObject(given) || typeof given.world !== "string") {
    throw new ApiError(400, "the body must be an object with a base64url `world`");
  }
  const world = fromBase64Url(given.world);
  if (!world) throw new ApiError(400, "`world` is not base64url");
  return json(await view.usePlanet(world, given.replace === true));
}
