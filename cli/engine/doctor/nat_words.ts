/**
 * What kind of NAT is before us, in words.
 * @module
 */
import type { NatKind } from "../../../lib/node/nat_kind.ts";

/** A kind in words, to follow "is ". */
export const NAT_WORDS: Readonly<Record<NatKind, string>> = {
  unknown: "unknown: nobody has said how we look from outside",
  none: "not translated",
  translated: "translated; too few witnesses to say how",
  "endpoint-independent": "translated, with one port for everyone (good for direct paths)",
  symmetric: "translated, with another port for each destination (symmetric NAT)",
};
