/**
 * What an API request comes to: an answer, and the record that must be stored before it is given.
 * Changes nothing itself.
 *
 * Source: spec 05 sections 9.1 and 9.2.
 * @module
 */
import { formatAddress, formatNetworkId, type NetworkId } from "../base/ids.ts";
import { type ApiReply, type ApiTarget, type ApiVerb, NOT_FOUND } from "./api.ts";
import { type JsonObject, type JsonValue, sameRecord, sortKeys, toInteger } from "./json.ts";
import { API_VERSION } from "./limits.ts";
import { updateMember } from "./member_record.ts";
import { updateNetwork } from "./network_record.ts";
import type { NetworkState } from "./network_state.ts";
import type { StoreWrite } from "./store.ts";

/** What requests read. */
export interface ApiView {
  readonly isReady: boolean;
  readonly networks: ReadonlyMap<NetworkId, NetworkState>;
}

export interface ApiOutcome {
  readonly reply: ApiReply;
  readonly write?: StoreWrite;
}

/** Answers a GET. */
export function readApi(view: ApiView, target: ApiTarget, wallMs: number): ApiReply {
  switch (target.what) {
    case "controller":
      return controllerStatus(view.isReady, wallMs);
    case "networks":
      return ok(sorted(view).map((state) => state.text));
    case "network":
      return found(view.networks.get(target.network)?.record);
    case "members":
      return ifNetwork(view, target.network, memberRevisions);
    case "member":
      return found(view.networks.get(target.network)?.member(target.member));
    case "all networks":
      return allNetworks(view);
    case "all members":
      return ifNetwork(view, target.network, allMembers);
    case "new network":
      return NOT_FOUND;
  }
}

function ok(json: JsonValue): ApiReply {
  return { status: 200, json: sortKeys(json) };
}

function found(record: JsonObject | undefined): ApiReply {
  return record ? ok(record) : NOT_FOUND;
}

function ifNetwork(
  view: ApiView,
  id: NetworkId,
  render: (state: NetworkState) => JsonValue,
): ApiReply {
  const state = view.networks.get(id);
  return state ? ok(render(state)) : NOT_FOUND;
}

function sorted(view: ApiView): NetworkState[] {
  return [...view.networks.values()].sort((a, b) => a.id < b.id ? -1 : 1);
}

function controllerStatus(isReady: boolean, wallMs: number): ApiReply {
  return {
    status: isReady ? 200 : 503,
    json: { controller: true, apiVersion: API_VERSION, clock: wallMs, databaseReady: isReady },
    pretty: true,
  };
}

function memberRevisions(state: NetworkState): JsonValue {
  const revisions: JsonObject = {};
  for (const [address, { record }] of state.members()) {
    revisions[formatAddress(address)] = toInteger(record.revision, 0);
  }
  return revisions;
}

function allNetworks(view: ApiView): ApiReply {
  const data = sorted(view).map((state) => ({
    ...state.record,
    meta: { authorizedMemberCount: state.authorizedCount, totalMemberCount: state.memberCount },
  }));
  return ok({ data, meta: { networkCount: data.length } });
}

function allMembers(state: NetworkState): JsonValue {
  const data = [...state.members()].map(([, { record }]) => record);
  return { data, meta: { authorizedCount: state.authorizedCount, totalCount: state.memberCount } };
}

/** One network, or one member of it, to change. */
export type WriteTarget = Extract<ApiTarget, { what: "network" | "member" }>;

/**
 * Decides on a POST or DELETE.
 * @param fields The body of a POST
 * @throws {JsonTypeError} when a field has a type no coercion covers
 */
export function writeApi(
  view: ApiView,
  request: { verb: ApiVerb; target: WriteTarget; fields: JsonObject },
  wallMs: number,
): ApiOutcome {
  const { verb, target, fields } = request;
  const state = view.networks.get(target.network);
  const network = formatNetworkId(target.network);
  if (target.what === "network") {
    if (verb === "delete") return remove({ network }, state?.record);
    return save({ network }, state?.record, updateNetwork(state?.record, fields, network, wallMs));
  }
  if (!state) return { reply: NOT_FOUND };
  const ids = { network, member: formatAddress(target.member) };
  const stored = state.member(target.member);
  if (verb === "delete") return remove(ids, stored);
  return save(ids, stored, updateMember(stored, fields, ids, wallMs));
}

function remove(key: StoreWrite["key"], stored: JsonObject | undefined): ApiOutcome {
  if (!stored) return { reply: NOT_FOUND };
  const write = { key, expect: toInteger(stored.revision, 0), value: null, claims: [] };
  return { reply: ok(stored), write };
}

/** Nothing is written when nothing changed; else the revision rises by one. */
function save(
  key: StoreWrite["key"],
  stored: JsonObject | undefined,
  record: JsonObject,
): ApiOutcome {
  if (stored && sameRecord(stored, record)) return { reply: ok(stored) };
  const expect = stored && toInteger(stored.revision, 0);
  const value = { ...record, revision: (expect ?? 0) + 1 };
  return { reply: ok(value), write: { key, expect, value, claims: [] } };
}
