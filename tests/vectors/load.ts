/**
 * Reads golden vectors.
 * @module
 */

/** @param file Name in this folder, e.g. "identity.json" */
export function loadVectors<T>(file: string): T {
  return JSON.parse(Deno.readTextFileSync(new URL(file, import.meta.url)));
}
