/**
 * Counts the golden vectors the tests consumed, so that a run can print the number and a forgotten file shows.
 * @module
 */

/** Line prefix the test runner collects; printed once a test file and group. */
export const VECTOR_LINE = "vectors checked:";

/**
 * Records that `count` vectors of `group` were compared.
 * @param group File and part, e.g. "identity.json: agreement"
 * @throws {RangeError} when the count is zero: a loop over nothing proves nothing
 */
export function countVectors(group: string, count: number): void {
  if (count <= 0) throw new RangeError(`no vectors in ${group}`);
  console.log(`${VECTOR_LINE} ${count} ${group}`);
}
