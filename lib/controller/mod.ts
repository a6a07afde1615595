/**
 * The network controller: who is a member, with which addresses and credentials; the local API's `/controller`.
 *
 * Leans on credential, identity and base; knows nothing of packets, sockets or databases. Read `machine.ts`, then
 * `controller.ts`, then `decide_request.ts`.
 * @module
 */
export type { ApiReply } from "./api.ts";
export { Controller, type ControllerConfig } from "./controller.ts";
export type { JsonObject, JsonValue } from "./json.ts";
export type { StoredResult } from "./lanes.ts";
export type {
  ControllerAction,
  ControllerCounters,
  ControllerInput,
  ControllerTime,
} from "./machine.ts";
export type {
  ControllerStore,
  RecordKey,
  StoreChange,
  StoreResult,
  StoreSnapshot,
  StoreWrite,
} from "./store.ts";
