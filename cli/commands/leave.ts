/**
 * `zt leave`: be a member of a network no more.
 * @module
 */
import { formatNetworkId } from "../../lib/base/ids.ts";
import { command } from "../command.ts";
import { isObject } from "../engine/json.ts";
import { networkIdOf, render, requireService } from "./context.ts";

/** `zt leave`. */
export const leave = command("leave <network>", "Leave a network")
  .example("zt leave 8056c2e21c000001")
  .action(async (call) => {
    const id = formatNetworkId(networkIdOf(call.argument(0)));
    const left = await requireService(call).call("DELETE", `/network/${id}`);
    const wasMember = isObject(left) && left.result === true;
    render(call, left, () => wasMember ? `left ${id}\n` : `${id} was not joined\n`);
  });
