import assert from "node:assert/strict";
import { NetworkDns } from "../../../../../cli/engine/dns/network_dns.ts";
import { Home } from "../../../../../cli/engine/home.ts";
import type { NetworkId } from "../../../../../lib/base/ids.ts";
import { parseIp } from "../../../../../lib/base/ip.ts";

Deno.test("NetworkDns goes on when the home folder takes nothing more", async () => {
  const path = Deno.makeTempDirSync({ prefix: "zt-dns-" });
  try {
    const home = new Home(path);
    const said: string[] = [];
    const dns = new NetworkDns({
      home,
      node: "a0b1c2d3e4",
      busPath: `${path}/no bus here`,
      resolvConf: () => `${path}/resolv.conf`,
      log: (line) => said.push(line),
    });
    Deno.mkdirSync(home.pathOf("resolvconf.path")); // as on a disk that is full
    const resolver = {
      servers: [parseIp("10.9.0.1")!],
      domains: [{ name: "lan", isSearched: true }],
    };
    dns.set(1n as NetworkId, resolver, { index: 1, file: true });
    for (let i = 0; i < 400 && said.length === 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await dns.close();
    assert.match(said.join(), /cannot write .*resolvconf\.path/);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
});
