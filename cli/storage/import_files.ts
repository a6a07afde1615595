/**
 * Reads the records of a reference controller, `controller.d`, so that moving to zt is copying a folder. The files are
 * only read: going back stays possible.
 *
 *     controller.d/network/<network>.json
 *     controller.d/network/<network>/member/<address>.json
 *
 * Source: spec 05 section 10.
 * @module
 */
import { parseAddress, parseNetworkId } from "../../lib/base/ids.ts";
import { isJsonObject, type JsonObject } from "../../lib/controller/json.ts";
import { JsonTextError, parseJsonText } from "../../lib/controller/json_text.ts";
import type { StoreSnapshot } from "../../lib/controller/store.ts";

export interface FilesRead extends StoreSnapshot {
  /** Files that hold no record, and why; to be told to the user. */
  readonly skipped: { readonly path: string; readonly reason: string }[];
}

/**
 * @param folder The `controller.d`; one that does not exist holds nothing
 * @returns Every record there is; what cannot be read is listed in `skipped`, not lost: the files stay
 */
export function readControllerFiles(folder: string): FilesRead {
  const read: FilesRead = { networks: [], members: [], skipped: [] };
  for (const { id, record } of readRecords(`${folder}/network`, 16, read)) {
    if (parseNetworkId(id) === undefined) {
      read.skipped.push({ path: `${folder}/network/${id}.json`, reason: "no network id" });
      continue;
    }
    read.networks.push({ ...record, id: id.toLowerCase(), objtype: "network" });
    readMembers(`${folder}/network/${id}/member`, id, read);
  }
  return read;
}

function readMembers(folder: string, network: string, read: FilesRead): void {
  for (const { id, record } of readRecords(folder, 10, read)) {
    if (parseAddress(id) === undefined) {
      read.skipped.push({ path: `${folder}/${id}.json`, reason: "no member address" });
      continue;
    }
    const ids = { id: id.toLowerCase(), address: id.toLowerCase(), nwid: network.toLowerCase() };
    read.members.push({ ...record, ...ids, objtype: "member" });
  }
}

/** Records in the files of a folder whose name is an id of the right length; the id inside must have it too. */
function* readRecords(
  folder: string,
  idLength: number,
  read: FilesRead,
): Generator<{ id: string; record: JsonObject }> {
  for (const name of namesIn(folder)) {
    if (name.length !== idLength + ".json".length || !name.endsWith(".json")) continue;
    const path = `${folder}/${name}`;
    const record = readRecord(path);
    if (typeof record === "string") {
      read.skipped.push({ path, reason: record });
    } else if (typeof record.id !== "string" || record.id.length !== idLength) {
      read.skipped.push({ path, reason: "the id inside is missing or of another length" });
    } else {
      yield { id: name.slice(0, idLength), record };
    }
  }
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return [];
    }
    throw error;
  }
}

/** The object in a file, or why there is none. */
function readRecord(path: string): JsonObject | string {
  try {
    const value = parseJsonText(Deno.readTextFileSync(path));
    return isJsonObject(value) ? value : "not a JSON object";
  } catch (error) {
    if (error instanceof JsonTextError) return error.message;
    if (error instanceof Error && "code" in error) return String(error.code);
    throw error;
  }
}
