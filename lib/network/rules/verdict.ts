/**
 * What filtering a frame can come to. Source: spec 04b sections 2.1 and 2.8.
 * @module
 */

/** How one rule list ended. */
export const ListResult = {
  /** The end or a BREAK was reached: capabilities decide */
  NO_MATCH: 0,
  DROP: 1,
  /** The frame goes to another member instead */
  REDIRECT: 2,
  ACCEPT: 3,
  /** Inbound: accepted even if its addresses are not this member's */
  SUPER_ACCEPT: 4,
} as const;
export type ListResult = typeof ListResult[keyof typeof ListResult];

/** What becomes of a frame: outbound frames are 0 or 1. */
export const Verdict = {
  /** Not sent, or not delivered. A redirected frame too: its copy went elsewhere */
  DROP: 0,
  ACCEPT: 1,
  /** Deliver without looking at bridging and MACs (spec 04 section 11.5) */
  SUPER_ACCEPT: 2,
} as const;
export type Verdict = typeof Verdict[keyof typeof Verdict];

/** EXT_FRAME flags of the copies a filter makes. */
export const CopyFlags = {
  TEE_OUTBOUND: 0x02,
  REDIRECT_OUTBOUND: 0x04,
  WATCH_OUTBOUND: 0x16,
  TEE_INBOUND: 0x08,
  REDIRECT_INBOUND: 0x0a,
  WATCH_INBOUND: 0x1c,
} as const;

/** Copies one decision makes at most: a capability's, the network rules', the redirected frame. */
export const COPIES_MAX = 3;
/** A tee length that means the whole frame, beside 0. */
export const WHOLE_FRAME = 0xffff;
