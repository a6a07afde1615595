/**
 * Writes a controller's records as a reference controller keeps them, `controller.d`, the
 * counterpart of `import_files.ts`. A folder of that name that is there already is renamed, never
 * written over.
 *
 * Source: spec 05 section 10.
 * @module
 */
import { messageOf, SystemError } from "../../lib/base/errors.ts";
import { exists, freeName } from "../engine/free_name.ts";
import { formatJson, type JsonObject } from "../engine/json.ts";

const FOLDER_MODE = 0o700;
/** What the API adds to a record as it shows it. */
const SHOWN_ONLY = ["clock", "meta"];

/** Records as the controller's API shows them: networks have `id`, members `id` and `nwid`. */
export interface ControllerRecords {
  readonly networks: readonly JsonObject[];
  readonly members: readonly JsonObject[];
}

/**
 * @returns where the folder lies that had this name before, if there was one
 * @throws {SystemError} when something cannot be written; a folder of that name is then as before
 */
export function writeControllerFiles(
  folder: string,
  { networks, members }: ControllerRecords,
): string | undefined {
  const temporary = `${folder}.tmp-${Deno.pid}`;
  return trying(`write ${folder}`, () => {
    try {
      makeFolder(`${temporary}/network`);
      for (const network of networks) write(`${temporary}/network/${network.id}.json`, network);
      for (const member of members) {
        const place = `${temporary}/network/${member.nwid}/member`;
        makeFolder(place);
        write(`${place}/${member.id}.json`, member);
      }
      const aside = moveAside(folder);
      Deno.renameSync(temporary, folder);
      return aside;
    } catch (error) {
      if (exists(temporary)) Deno.removeSync(temporary, { recursive: true });
      throw error;
    }
  });
}

function makeFolder(path: string): void {
  Deno.mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
}

function write(path: string, record: JsonObject): void {
  const kept = Object.entries(record).filter(([name]) => !SHOWN_ONLY.includes(name));
  Deno.writeTextFileSync(path, formatJson(Object.fromEntries(kept)), { createNew: true });
}

function moveAside(folder: string): string | undefined {
  if (!exists(folder)) return undefined;
  const aside = freeName(`${folder}.old`);
  if (aside === undefined) throw new SystemError(`move ${folder} away`, "EEXIST");
  Deno.renameSync(folder, aside);
  return aside;
}

function trying<T>(operation: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof SystemError) throw error;
    throw new SystemError(operation, messageOf(error));
  }
}
