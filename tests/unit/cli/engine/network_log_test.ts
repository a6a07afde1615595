import assert from "node:assert/strict";
import type { NetworkId } from "../../../../lib/base/ids.ts";
import { parsePrefix } from "../../../../lib/base/ip.ts";
import { NetworkLog } from "../../../../cli/engine/network_log.ts";

Deno.test("NetworkLog says each change of a network once, and that it was left", () => {
  const lines: string[] = [];
  const log = new NetworkLog((line) => lines.push(line));
  const id = 0x8056c2e21c000001n as NetworkId;
  const addresses = ["10.1.0.2/24", "fd00::2/88"].map((text) => parsePrefix(text)!);
  for (const status of ["ACCESS_DENIED", "ACCESS_DENIED", "OK", "OK"]) {
    log.note({ id, status, addresses });
  }
  log.note({ id, status: "OK", addresses: addresses.slice(1) });
  log.forget(id);
  log.forget(id);
  assert.deepEqual(lines, [
    "network 8056c2e21c000001: ACCESS_DENIED",
    "network 8056c2e21c000001: OK 10.1.0.2/24, fd00::2/88",
    "network 8056c2e21c000001: OK fd00::2/88",
    "network 8056c2e21c000001: left",
  ]);
});
