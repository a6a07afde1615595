/**
 * `zt lab-agent`: hands and eyes of the demo and the tests inside a host of their lab.
 * @module
 */
import { command } from "../command.ts";

/** `zt lab-agent`. */
export const labAgent = command("lab-agent", "Take orders of the demo, one a line").hidden()
  .action(async (call) => {
    const { runAgent } = await import("../engine/demo/agent.ts");
    await runAgent(Deno.stdin.readable, call.io);
  });
