/**
 * `zt controller export`: the way back to a reference controller, and a backup anybody can read.
 * @module
 */
import { ApiError } from "../../lib/base/errors.ts";
import type { ApiClient } from "../api/client.ts";
import { command } from "../command.ts";
import { isObject, type JsonObject } from "../engine/json.ts";
import { homeOf, render, requireService } from "./context.ts";

/** `zt controller export`. */
export const controllerExport = command(
  "export [folder]",
  "Write networks and members as files a ZeroTier One controller takes over",
)
  .example("zt controller export")
  .example("zt controller export /srv/backup/controller.d")
  .note(
    "Without a folder it is controller.d in the home folder, where ZeroTier One looks when it is started on that home. " +
      "A folder that is there already is kept under another name.",
  )
  .note(
    "Back again: zt imports a controller.d where it has no records yet; move controller.sqlite away for that.",
  )
  .action(async (call) => {
    const folder = call.args[0] ?? homeOf(call).pathOf("controller.d");
    const api = requireService(call);
    const networks = await recordsAt(api, "/unstable/controller/network");
    const members: JsonObject[] = [];
    for (const { id } of networks) {
      members.push(...await recordsAt(api, `/unstable/controller/network/${id}/member`));
    }
    const { writeControllerFiles } = await import("../storage/export_files.ts");
    const aside = writeControllerFiles(folder, { networks, members });
    if (aside) call.io.err(`what was there before: ${aside}\n`);
    const value = { folder, networks: networks.length, members: members.length };
    render(
      call,
      value,
      () => `${folder}: ${value.networks} networks, ${value.members} members\n`,
    );
  });

async function recordsAt(api: ApiClient, path: string): Promise<JsonObject[]> {
  const answer = await api.call("GET", path);
  if (isObject(answer) && Array.isArray(answer.data)) return answer.data.filter(isObject);
  throw new ApiError(200, `the controller did not answer with records to ${path}`);
}
