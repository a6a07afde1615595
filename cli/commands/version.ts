/**
 * `zt version`: our own version, and what we announce.
 * @module
 */
import { command } from "../command.ts";
import { ANNOUNCED_VERSION, ZT_VERSION } from "../engine/version.ts";
import { render } from "./context.ts";

/** `zt version`. */
export const version = command("version", "Print the version")
  .example("zt version")
  .action((call) => {
    const value = { version: ZT_VERSION, announces: ANNOUNCED_VERSION.text };
    render(call, value, () => `zt ${ZT_VERSION} (speaks as ${ANNOUNCED_VERSION.text})\n`);
  });
