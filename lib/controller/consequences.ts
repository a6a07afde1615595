/**
 * What a member record that changed means for the members of its network.
 *
 * Source: spec 05 sections 5.2 and 5.3.
 * @module
 */
import type { JsonObject } from "./json.ts";
import { isAuthorized } from "./member_record.ts";

/** What is to be done about it. */
export interface Consequences {
  /** Members whose config is another now. */
  readonly push: "nobody" | "member" | "network";
  /** Whether the member's membership ended. */
  readonly revoke: boolean;
}

/** What a changed member record means for the network. @param own The member caused it by asking */
export function consequencesOf(
  before: JsonObject | undefined,
  after: JsonObject | undefined,
  own: boolean,
): Consequences {
  const revoke = isAuthorized(before) && !isAuthorized(after);
  const bridged = (before?.activeBridge === true) !== (after?.activeBridge === true);
  if (bridged) return { push: "network", revoke }; // every member's config lists the bridges
  return { push: own || !after ? "nobody" : "member", revoke };
}
