/**
 * Numbers of the controller: the reference's constants and the bounds of ours.
 *
 * Source: spec 05 section 1.
 * @module
 */
import { NAMES_MAX } from "../credential/member_names.ts";

/** `apiVersion` of `GET /controller`. */
export const API_VERSION = 4;
/** A member may ask this often in the long run... */
export const REQUEST_PERIOD_MIN_MS = 1_000;
/**
 * ...and this many times at once: who leaves and joins again, or restarts, is not to wait. The
 * reference allows one.
 */
export const REQUEST_BURST = 3;
/** A member heard from within this time gets pushes and revocations. */
export const ONLINE_MS = 120_000;
/** Longest array the API accepts; the rest is cut off. */
export const ARRAY_LENGTH_MAX = 16_384;

export const WINDOW_DEFAULT_MS = 1_800_000;
export const WINDOW_MIN_MS = 300_000;
export const WINDOW_MAX_MS = 7_200_000;

/** What fits the config field. */
export const MULTICAST_LIMIT_MAX = 0xffff_ffff;
/** Bytes of a network's name and of its DNS domain in a config. */
export const SHORT_NAME_LENGTH_MAX = 127;

/** Addresses tried in one pool for one member before giving up. */
export const ASSIGNMENT_TRIALS_MAX = 1_000;

/** Ours: records strangers made by asking for a private network, each; the oldest makes room. */
export const STRANGERS_MAX = 10_000;
/** Ours: (network, requester) pairs whose last request is remembered; bounds memory against a flood of identities. */
export const REQUEST_TIMES_MAX = 65_536;
/** Ours: addresses whose last sign of life is remembered. */
export const PRESENCE_MAX = 1_000_000;
/** Ours: work waiting for one network's store; config requests past it are dropped (the node asks again in 5 s). */
export const LANE_LENGTH_MAX = 1_024;
/** Ours: configs built in one call of `handle()`; the rest waits for the next, so a push to many stalls nobody. */
export const TASKS_PER_STEP_MAX = 16;
/** Ours: how often a decision is made anew because the store holds something else. */
export const ATTEMPTS_MAX = 8;
/** Ours: longest body of an API request, in UTF-16 units. */
export const BODY_LENGTH_MAX = 8 * 1024 * 1024;

/** Ours: members of a network that have names, the oldest first; what the controller's own node is told. */
export const NAMED_MEMBERS_MAX = NAMES_MAX;
/** Ours: names every member is told; in larger networks names are asked of the controller, one by one. */
export const LISTED_NAMES_MAX = 1_024;
/** Ours: a longer list is not part of an answer, which somebody may be waiting for to join, but is sent after it. */
export const ANSWERED_NAMES_MAX = 16;
/**
 * Ours: sent so often to one who asks for it anew each time: it may be signed in a hundred pieces,
 * an answer in a few.
 */
export const OWED_NAMES = { perSecond: 1 / 30, burst: 4 };
/** Ours: memberships whose budget of such lists is remembered. */
export const OWED_NAMES_MEMBERS_MAX = 16_384;
/** Ours: bytes of one list: escaped, and with everything else, it must fit a configuration, whatever is in it. */
export const NAMES_LENGTH_MAX = 131_072;
/** Ours: changed names are told at most this often, and less often the more there are to tell. */
export const NAMES_EVERY_MS = 2_000;
export const NAMES_EVERY_MS_PER_MEMBER = 30;
export const NAMES_EVERY_MAX_MS = 60_000;
