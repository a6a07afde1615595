/**
 * Decides on one config request: who gets in, what their record becomes, what they are told. Changes nothing itself.
 *
 * Source: spec 05 section 2.3, whose order is kept step by step.
 * @module
 */
import { WireError } from "../base/errors.ts";
import { formatAddress } from "../base/ids.ts";
import type { Primitives, Random } from "../crypto/primitives.ts";
import type { RequestMetadata } from "../credential/request_metadata.ts";
import type { NetworkConfig } from "../credential/network_config.ts";
import { Identity } from "../identity/identity.ts";
import { ErrorCode } from "../wire/packet.ts";
import { issueConfig } from "./issue_config.ts";
import { isTokenValid } from "./compiled_network.ts";
import { type JsonObject, sameRecord, toBoolean, toInteger, toText } from "./json.ts";
import { authorize, completeMember, isAuthorized } from "./member_record.ts";
import type { NetworkState } from "./network_state.ts";

const AUTHORIZATION_LENGTH_MAX = 511; // spec 05 section 2.2
const TOKEN_PREFIX = "token:";

/** Who asks, and how. */
export interface ConfigRequest {
  readonly from: Identity;
  readonly metadata: RequestMetadata;
  /** Made by us for a member whose config changed. */
  readonly isPush: boolean;
}

/** What a controller decides with. */
export interface DecisionContext {
  readonly identity: Identity;
  readonly primitives: Primitives;
  readonly random: Random;
  readonly wallMs: number;
}

export interface Verdict {
  readonly answer:
    | { readonly kind: "config"; readonly config: NetworkConfig }
    | { readonly kind: "refuse"; readonly code: ErrorCode };
  /** The member's record with its new revision, when it must be stored before answering. */
  readonly save: JsonObject | undefined;
  /** Addresses in `save` nobody else may hold. */
  readonly claims: readonly string[];
  /** Addresses tried in pools. */
  readonly trials: number;
  /** The requester is who the record says: what it told us can be kept for a push. */
  readonly isKnown: boolean;
}

/** @param state undefined when there is no such network: nothing is stored for those who ask for it */
export function decideRequest(
  state: NetworkState | undefined,
  request: ConfigRequest,
  context: DecisionContext,
): Verdict {
  if (!state) return refusal(ErrorCode.OBJECT_NOT_FOUND);
  const { from } = request;
  const stored = state.member(from.address);
  const ids = { network: state.text, member: formatAddress(from.address) };
  const record = completeMember(stored, ids, context.wallMs);
  if (!pinIdentity(record, from)) return refusal(ErrorCode.NETWORK_ACCESS_DENIED);
  const authorized = admit(state, record, request.metadata, context.wallMs);
  if (state.compiled.ssoEnabled && !toBoolean(record.ssoExempt, false)) {
    // We have no single sign-on, so nobody can prove to have signed on: what the reference's plain builds answer.
    const save = changed(stored, record);
    return { ...refusal(ErrorCode.NETWORK_AUTHENTICATION_REQUIRED), save, isKnown: true };
  }
  if (!authorized) {
    const save = changed(stored, record);
    return { ...refusal(ErrorCode.NETWORK_ACCESS_DENIED), save, isKnown: true };
  }
  noteVersions(record, request.metadata);
  const issued = issueConfig(state, { record, isNew: !stored, ...request }, context);
  return {
    answer: { kind: "config", config: issued.config },
    save: changed(stored, record),
    claims: issued.claims,
    trials: issued.trials,
    isKnown: true,
  };
}

function refusal(code: ErrorCode): Verdict {
  return {
    answer: { kind: "refuse", code },
    save: undefined,
    claims: [],
    trials: 0,
    isKnown: false,
  };
}

/** The record with its next revision, unless it says what the stored one says. */
function changed(stored: JsonObject | undefined, record: JsonObject): JsonObject | undefined {
  if (stored && sameRecord(stored, record)) return undefined;
  record.revision = toInteger(stored?.revision, 0) + 1;
  return record;
}

/** The first identity that asks with an address keeps it. @returns false when the record belongs to another */
function pinIdentity(record: JsonObject, from: Identity): boolean {
  const pinned = toText(record.identity, ""); // other software writes null where there is none
  const presented = from.format();
  if (pinned === "") {
    record.identity = presented;
    return true;
  }
  return pinned === presented || names(pinned, from);
}

/** Whether an identity written some other way, e.g. in capitals, is the requester's. */
function names(text: string, from: Identity): boolean {
  try {
    return Identity.parse(text).equals(from);
  } catch (error) {
    if (error instanceof WireError) return false;
    throw error;
  }
}

/** Whether the requester is a member; one let in automatically is marked so in the record, for good. */
function admit(
  state: NetworkState,
  record: JsonObject,
  metadata: RequestMetadata,
  wallMs: number,
): boolean {
  if (isAuthorized(record)) return true;
  if (!state.compiled.isPrivate) {
    authorize(record, { type: "public", credential: null }, wallMs);
    return true;
  }
  const token = tokenOf(metadata);
  if (token === undefined || !isTokenValid(state.record, token, wallMs)) return false;
  authorize(record, { type: "token", credential: token }, wallMs);
  return true;
}

/** What the requester shows to be let in; "token:<token>" is the only form there is. */
function tokenOf({ authorization }: RequestMetadata): string | undefined {
  const text = authorization.slice(0, AUTHORIZATION_LENGTH_MAX);
  return text.startsWith(TOKEN_PREFIX) ? text.slice(TOKEN_PREFIX.length) : undefined;
}

function noteVersions(record: JsonObject, metadata: RequestMetadata): void {
  record.vMajor = toInteger(metadata.majorVersion, 0);
  record.vMinor = toInteger(metadata.minorVersion, 0);
  record.vRev = toInteger(metadata.revision, 0);
  record.vProto = toInteger(metadata.protocolVersion, 0);
}
