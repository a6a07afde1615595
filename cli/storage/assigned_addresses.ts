/**
 * Which addresses a stored member record holds.
 * @module
 */
import type { JsonObject } from "../../lib/controller/json.ts";
import { normalizeAddress } from "../../lib/controller/coerced_fields.ts";

/** Canonical text of every address in `ipAssignments`; none for no record. */
export function assignedAddresses(record: JsonObject | null | undefined): string[] {
  const assignments = record?.ipAssignments;
  if (!Array.isArray(assignments)) return [];
  return assignments.map(normalizeAddress).filter((ip) => ip !== undefined);
}
