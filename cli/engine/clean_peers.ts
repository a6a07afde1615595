/**
 * Forgetting old files of the cache of peers. A root has a hundred thousand and more, and to look
 * at all of them takes seconds: they are looked at a few at a time, so that everybody is answered
 * meanwhile.
 *
 * Source: spec 03 sections 25 and 28 item 8.
 * @module
 */
import { fileReason } from "./file_error.ts";
import { type Home, HomeError } from "./home.ts";

const FOLDER = "peers.d";
const LIFE_MS = 30 * 24 * 3_600_000; // as the reference: a peer not seen for a month is forgotten
/**
 * As many as a node has in memory: whoever makes identities, one a second and core, shall not fill
 * a root's disk at 4 KB each.
 */
const FILES_MAX = 262_144;
const LOT = 16; // files looked at, or removed, without a pause
const PAUSE_MS = 20; // then 262,144 take six minutes, and a few hundredths of a core

/** What decides which files go, and when to stop looking. */
export interface CleanOptions {
  /** Milliseconds since the epoch. */
  readonly wallMs: number;
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly filesMax?: number;
  /**
   * Files that stay however old: of fellow members, who are to be found when no root is left. One that never went
   * away was written but once.
   */
  readonly keep: ReadonlySet<string>;
}

/**
 * Forgets peers not seen for a month, and the oldest beyond so many.
 * @throws {HomeError} when a file cannot be removed
 */
export async function cleanPeers(home: Home, options: CleanOptions): Promise<void> {
  const { wallMs, signal, keep, filesMax = FILES_MAX } = options;
  const kept: { path: string; modifiedMs: number }[] = [];
  await inLots(await namesIn(home), signal, (name) => {
    if (keep.has(name)) return;
    const path = `${FOLDER}/${name}`;
    const modifiedMs = home.modifiedMs(path) ?? wallMs;
    if (wallMs - modifiedMs > LIFE_MS) home.remove(path);
    else kept.push({ path, modifiedMs });
  });
  if (kept.length <= filesMax) return;
  kept.sort((a, b) => b.modifiedMs - a.modifiedMs);
  await inLots(kept.slice(filesMax), signal, ({ path }) => home.remove(path));
}

async function namesIn(home: Home): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(home.pathOf(FOLDER))) names.push(name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new HomeError(`cannot list ${home.pathOf(FOLDER)}: ${fileReason(error)}`);
  }
  return names;
}

async function inLots<T>(
  items: readonly T[],
  signal: AbortSignal,
  each: (item: T) => void,
): Promise<void> {
  for (let at = 0; at < items.length && !signal.aborted; at += LOT) {
    for (const item of items.slice(at, at + LOT)) each(item);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
