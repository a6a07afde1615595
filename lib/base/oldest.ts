/**
 * Room in a table that keeps its entries in the order they came.
 * @module
 */

/**
 * Deletes the key that was put in first; nothing when there is none. Put in anew, a key is the
 * latest only once it was deleted.
 */
export function dropOldest<K>(
  table: { keys(): Iterator<K, unknown>; delete(key: K): boolean },
): void {
  const oldest = table.keys().next();
  if (!oldest.done) table.delete(oldest.value);
}
