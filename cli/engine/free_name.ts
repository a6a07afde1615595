/**
 * A name nothing has, for what is kept instead of being written over.
 * @module
 */

const NAMES_MAX = 1_000; // bounds the search

/** Whether anything is seen there, a link that leads nowhere too. */
export function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false; // where we may not look, whatever is done next says so
  }
}

/**
 * @param stem A path and what the name says, e.g. "/var/lib/zt/planet.bad"
 * @returns the stem and the lowest number that is free, e.g. "/var/lib/zt/planet.bad-1"; undefined
 * when a thousand are taken
 */
export function freeName(stem: string): string | undefined {
  for (let number = 1; number <= NAMES_MAX; number++) {
    const name = `${stem}-${number}`;
    if (!exists(name)) return name;
  }
  return undefined;
}
