import { deepEqual, equal, match, ok } from "node:assert/strict";
import { type Ip, parsePrefix } from "../../lib/base/ip.ts";
import { linesOf } from "../../cli/engine/demo/lines.ts";
import type { LabHost } from "../../cli/engine/lab.ts";
import { createPlanet, endToEndTest, Stage, until } from "./stage.ts";

const GATEWAY = new URL("fake_gateway.ts", import.meta.url).pathname;
const PUBLIC = "203.0.113.77";

/** A router that speaks one protocol, and the lines it printed. */
async function startGateway(stage: Stage, mode: string): Promise<string[]> {
  const host = stage.host("router");
  const ip = mode === "pcp6" ? "::" : stage.lan.ipv4(host);
  const args = ["run", "--no-prompt", "-A", GATEWAY, mode, ip, PUBLIC];
  const child = stage.lab.spawn(host, Deno.execPath(), args, { stdout: "piped" });
  const lines: string[] = [];
  (async () => {
    for await (const line of linesOf(child.stdout)) lines.push(line);
  })();
  await until("the router is ready", 20_000, () => lines.includes("ready"));
  return lines;
}

function linkLocal(host: LabHost): Ip {
  const addresses = host.settings.addresses().map(({ prefix }) => prefix.ip);
  return addresses.find((ip) => ip[0] === 0xfe && ip[1] === 0x80)!;
}

interface Status {
  readonly config: {
    readonly settings: { readonly surfaceAddresses: string[]; readonly tertiaryPort: number };
  };
}

for (const mode of ["pcp", "nat-pmp", "upnp"]) {
  endToEndTest(`a port is mapped by ${mode}, shown, and given back at the end`, async () => {
    const stage = new Stage(`map-${mode}`, ["router", "a"], { ipv6: null });
    const lines = await startGateway(stage, mode);
    const a = stage.host("a");
    a.addRoute("0.0.0.0/0", stage.lan.ipv4(stage.host("router")));
    const node = stage.node("a");
    await createPlanet(stage, node);
    const service = node.start();
    await service.waitFor(new RegExp(` is mapped to ${PUBLIC}/\\d+ by ${mode}$`), 20_000);
    const { config: { settings } } = await node.ask<Status>("info");
    const port = settings.tertiaryPort;
    const external = `${PUBLIC}/${mode === "upnp" ? port : 40_404}`;
    ok(lines.includes(`+${stage.lan.ipv4(a)}/${port}`), lines.join("\n"));
    deepEqual(settings.surfaceAddresses, [external]);
    const { portMapping } = JSON.parse(await node.do("/zt/status"));
    equal(portMapping.ports.length, 1);
    equal(portMapping.ports[0].external, external);
    if (mode === "upnp") match(lines.join("\n"), /^ZeroTier\/[0-9a-f]{10}@\d+$/m);
    const settled = lines.length;
    Deno.writeTextFileSync(`${node.home}/local.conf`, '{"settings":{"portMappingEnabled":false}}');
    await until("it is given back", 10_000, () => lines.length > settled);
    match(lines.at(-1)!, /^-/);
    const after = await node.ask<Status>("info");
    deepEqual(after.config.settings.surfaceAddresses, []);
    Deno.writeTextFileSync(`${node.home}/local.conf`, "{}");
    await until("it is mapped again", 10_000, () => /^\+/.test(lines.at(-1)!));
    const again = lines.length;
    await service.stop();
    await until("it is given back at the end", 5_000, () => lines.length > again);
    match(lines.at(-1)!, /^-/);
    await stage.lab.end();
  });
}

endToEndTest("an IPv6 firewall is opened by PCP, through a link-local gateway", async () => {
  const stage = new Stage("map-pcp6", ["router", "a"], { ipv4: null, ipv6: null });
  const [router, a] = ["router", "a"].map((name) => stage.host(name));
  a.addAddress("eth0", "2a00:9::5/64");
  const eth0 = router.deviceIndex("eth0");
  router.settings.replaceRoute({ target: parsePrefix("2a00:9::/64")!, index: eth0 });
  const gateway = linkLocal(router);
  const index = a.deviceIndex("eth0");
  a.settings.replaceRoute({ target: parsePrefix("::/0")!, gateway, index });
  const lines = await startGateway(stage, "pcp6");
  const node = stage.node("a");
  await node.do("planet", "create", "--endpoint", "2a00:9::5/9993");
  const service = node.start();
  await service.waitFor(/^2a00:9::5\/9993 is mapped to 2a00:9::5\/9993 by pcp$/, 20_000);
  ok(lines.some((line) => /^\+.*\/9993$/.test(line)), lines.join("\n"));
  await service.stop();
  await until("it is closed again", 5_000, () => lines.at(-1)!.startsWith("-"));
  await stage.lab.end();
});
