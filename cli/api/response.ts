/**
 * Requests and responses of the local API, apart from sockets.
 *
 * Source: spec 06 section 3.3.
 * @module
 */
import { utf8 } from "../../lib/base/bytes.ts";
import type { Credentials } from "./auth.ts";
import { formatJson, type Json } from "../engine/json.ts";

/** A request, whole. */
export interface ApiRequest extends Credentials {
  method: string;
  body: string;
  /** Aborts when the client hangs up: ends a long poll. */
  signal: AbortSignal;
}

/** What goes back. */
export interface ApiResponse {
  status: number;
  /** Absent for an empty body without a type. */
  contentType?: string;
  body: string | Uint8Array;
  headers?: Record<string, string>;
}

/** Answers of a route before they become text: undefined means "no such route", 404. */
export type RouteResult = ApiResponse | undefined;

/** An empty body without a type: what an unrouted path gets. */
export const NOT_FOUND: ApiResponse = { status: 404, body: "" };

/** A JSON body. */
export function json(value: Json, status = 200): ApiResponse {
  return { status, contentType: "application/json", body: formatJson(value) };
}

/** The body of a failure, in the reference's spacing but escaped properly. */
export function failure(status: number, description: string): ApiResponse {
  const body = `{"error": ${status}, "description": ${JSON.stringify(description)}}`;
  return { status, contentType: "application/json", body };
}

/** The headers of a response, its length included. */
export function headersOf(response: ApiResponse): Record<string, string> {
  const lengthBytes = typeof response.body === "string"
    ? utf8(response.body).length
    : response.body.length;
  return {
    "Content-Length": String(lengthBytes),
    ...(response.contentType === undefined ? {} : { "Content-Type": response.contentType }),
    ...response.headers,
  };
}
