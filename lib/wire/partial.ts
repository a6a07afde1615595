/**
 * Lists that count element by element. The protocol aborts a packet at the first byte that cannot be read, but what
 * earlier elements did stays done, so the decoders of such lists return what they read and whether that was all.
 *
 * Source: spec 02 section 2.5.
 * @module
 */
import type { Reader } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";

/** What was read of a list. */
export interface PartialList<T> {
  readonly items: readonly T[];
  /** False when the packet broke off: act on the items, but do not count the packet as received. */
  readonly complete: boolean;
}

/**
 * Reads elements while `more()` says there are any.
 * @param read Reads one; a {@linkcode WireError} ends the list and is kept from the caller
 */
export function readPartial<T>(
  r: Reader,
  more: () => boolean,
  read: (r: Reader) => T,
): PartialList<T> {
  const items: T[] = [];
  try {
    while (more()) items.push(read(r));
    return { items, complete: true };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { items, complete: false };
  }
}
