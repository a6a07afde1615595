/**
 * `zt join`: become a member of a network, and if wanted wait until it works.
 * @module
 */
import { TimeoutError, UsageError } from "../../lib/base/errors.ts";
import { formatNetworkId } from "../../lib/base/ids.ts";
import type { ApiClient } from "../api/client.ts";
import type { NetworkInfo, NetworkWait, StatusInfo } from "../api/view.ts";
import { type Call, command } from "../command.ts";
import { ensureService, networkIdOf, render } from "./context.ts";
import { joinedText, networkStateText } from "./network_words.ts";

const DEFAULT_TIMEOUT_MS = 60_000;
const ROUND_MS = 2_000; // one long poll: how late a change of the reason is told at most
const GRACE_MS = 10_000; // what a busy service may take on top of the time it was asked to wait

/** `zt join`. */
export const join = command("join <network>", "Join a network")
  .option("--wait", "return when the network is usable")
  .option("--timeout <seconds>", "how long --wait waits (default 60)")
  .example("zt join 8056c2e21c000001 --wait")
  .note(
    "Starts the service in the background when none is running.\nExit code 3: not usable in time.",
  )
  .action(async (call) => {
    const id = formatNetworkId(networkIdOf(call.argument(0)));
    const timeoutMs = call.milliseconds("timeout");
    if (timeoutMs !== undefined && !call.flag("wait")) {
      throw new UsageError("--timeout only makes sense with --wait");
    }
    const api = await ensureService(call);
    const joined = await api.call("POST", `/network/${id}`, {}) as NetworkInfo;
    if (call.flag("wait")) {
      const usable = await waitUntilUsable(call, api, joined, timeoutMs ?? DEFAULT_TIMEOUT_MS);
      render(call, usable, joinedText);
    } else {
      const { address } = await api.call("GET", "/status") as StatusInfo;
      render(
        call,
        joined,
        (network) => `joined ${network.nwid}: ${networkStateText(network, address)}\n`,
      );
    }
  });

/** Tells every new reason on the way. @throws {TimeoutError} with the last one */
async function waitUntilUsable(
  call: Call,
  api: ApiClient,
  joined: NetworkInfo,
  timeoutMs: number,
): Promise<NetworkInfo> {
  const { address } = await api.call("GET", "/status") as StatusInfo;
  const untilMs = performance.now() + timeoutMs;
  let network = joined;
  let told = "";
  for (;;) {
    const leftMs = Math.max(0, untilMs - performance.now());
    const roundMs = Math.ceil(Math.min(leftMs, ROUND_MS));
    const path = `/zt/network/${joined.nwid}/wait?timeout=${roundMs}`;
    const waited = await api.call("GET", path, undefined, roundMs + GRACE_MS) as NetworkWait;
    network = waited.network;
    if (waited.ready) return network;
    const reason = networkStateText(network, address);
    if (leftMs <= ROUND_MS) {
      const seconds = formatSeconds(timeoutMs);
      throw new TimeoutError(`${network.nwid} is not usable after ${seconds}: ${reason}`);
    }
    if (reason !== told) call.io.err(`${told = reason}\n`);
  }
}

function formatSeconds(timeMs: number): string {
  return `${timeMs / 1000} s`;
}
