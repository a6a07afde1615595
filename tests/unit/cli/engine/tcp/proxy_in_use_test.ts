import assert from "node:assert/strict";
import {
  formatEndpoint,
  formatIp,
  type Ip,
  parseEndpoint,
  parseIp,
} from "../../../../../lib/base/ip.ts";
import { chooseProxy, parseHttpProxy } from "../../../../../cli/engine/tcp/http_proxy.ts";
import { ProxyInUse } from "../../../../../cli/engine/tcp/proxy_in_use.ts";
import { probeProxy } from "../../../../../cli/engine/tcp/proxy_probe.ts";
import type { ProxyTrouble } from "../../../../../cli/engine/tcp/proxy_dial.ts";
import { startConnectProxy } from "../../../../e2e/connect_proxy.ts";

const PASSWORD: ProxyTrouble = { kind: "password", text: "asks for a user and a password (407)" };
const SILENT: ProxyTrouble = { kind: "silent", text: "does not answer" };

/** @param text Of the setting; undefined for none */
function scene(text: string | undefined, names: Record<string, string[]> = {}) {
  const state = { text, nowMs: 1_000, log: [] as string[], lookups: 0 };
  const proxy = new ProxyInUse({
    choice: () =>
      chooseProxy(state.text === undefined ? "none" : parseHttpProxy(state.text), () => undefined),
    nowMs: () => state.nowMs,
    log: (line) => state.log.push(line),
    lookup: (host): Promise<Ip[]> => {
      state.lookups++;
      return Promise.resolve((names[host] ?? []).map((ip) => parseIp(ip)!));
    },
  });
  const hops = async () => (await proxy.hops()).map(({ at }) => formatEndpoint(at));
  return { proxy, state, hops };
}

Deno.test("ProxyInUse.hops() takes one address of each family a name has, and an address as it is", async () => {
  const names = { proxy: ["10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"] };
  assert.deepEqual(await scene("proxy:1", names).hops(), ["10.0.0.1/1", "fd00::1/1"]);
  const literal = scene("http://[fd00::7]:3128");
  assert.deepEqual(await literal.hops(), ["fd00::7/3128"]);
  assert.equal(literal.state.lookups, 0);
  assert.deepEqual(await scene(undefined).hops(), []);
});

Deno.test("ProxyInUse.hops() finds names as the system does", async () => {
  const choice = () => chooseProxy({ host: "localhost", port: 1 }, () => undefined);
  const proxy = new ProxyInUse({ choice, nowMs: () => 0, log: () => {} });
  const found = (await proxy.hops()).map(({ at }) => formatIp(at.ip));
  assert.ok(found.includes("127.0.0.1") || found.includes("::1"), found.join());
});

Deno.test("ProxyInUse says of a name without addresses what is wrong", async () => {
  const { proxy, state, hops } = scene("http://me:secret@proxy:1");
  assert.deepEqual(await hops(), []);
  assert.equal(proxy.view?.trouble, "has no address");
  assert.deepEqual(state.log, ["the HTTP proxy proxy:1 has no address"]);
  await hops();
  assert.equal(state.log.length, 1, "and says it once");
});

Deno.test("ProxyInUse leaves a proxy alone that wants a password, until the setting or the network changes", async () => {
  const { proxy, state } = scene("http://me:secret@10.0.0.1:1");
  const [hop] = await proxy.hops();
  assert.equal(proxy.isUsable, true);
  proxy.note(hop, PASSWORD);
  state.nowMs += 599_999;
  assert.equal(proxy.isUsable, false);
  assert.deepEqual(proxy.view, {
    address: "10.0.0.1:1",
    source: "local.conf",
    trouble: PASSWORD.text,
  });
  state.nowMs += 1;
  assert.equal(proxy.isUsable, true);
  proxy.note(hop, PASSWORD);
  state.text = "http://me:other@10.0.0.1:1";
  assert.deepEqual([proxy.isUsable, proxy.view?.trouble], [true, null]);
  proxy.note(hop, PASSWORD);
  assert.equal(
    proxy.isUsable,
    true,
    "what the password of before came to says nothing of this one",
  );
  const [other] = await proxy.hops();
  proxy.note(other, PASSWORD);
  proxy.forget();
  assert.equal(proxy.isUsable, true);
  assert.doesNotMatch(state.log.join(), /secret|other/);
});

Deno.test("ProxyInUse leaves out an address that swallowed a connection, for a while", async () => {
  const { proxy, state, hops } = scene("proxy:1", { proxy: ["10.0.0.1", "fd00::1"] });
  const [first, second] = await proxy.hops();
  proxy.note(first, SILENT);
  assert.deepEqual(await hops(), ["fd00::1/1"]);
  proxy.note(second, SILENT);
  proxy.note(second, SILENT);
  assert.deepEqual(await hops(), []);
  state.nowMs += 15_000;
  assert.deepEqual(await hops(), ["10.0.0.1/1", "fd00::1/1"]);
  proxy.note(first, undefined);
  assert.equal(proxy.view?.trouble, null);
});

Deno.test("probeProxy() tries a proxy: reached, its password, and where it leads", async () => {
  const relay = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const target = parseEndpoint(`127.0.0.1/${(relay.addr as Deno.NetAddr).port}`)!;
  const lab = startConnectProxy("127.0.0.1", 0, "me:secret");
  const { proxy, state } = scene(`http://me:secret@127.0.0.1:${lab.port}`);
  const asked = async () => {
    const facts = await probeProxy(proxy, target);
    assert.doesNotMatch(JSON.stringify(facts), /secret|wrong|Basic/);
    return [facts?.kind, facts?.trouble];
  };
  assert.deepEqual(await asked(), [null, null]);
  assert.equal((await probeProxy(proxy, target))?.target, formatEndpoint(target));
  state.text = `http://me:wrong@127.0.0.1:${lab.port}`;
  assert.deepEqual(await asked(), [
    "password",
    "does not take the user and password it is given (407)",
  ]);
  state.text = `http://me:secret@127.0.0.1:${lab.port}`;
  relay.close();
  assert.deepEqual(await asked(), ["refused", `answers 503 to CONNECT ${formatEndpoint(target)}`]);
  lab.close();
  assert.deepEqual(await asked(), ["unreachable", "cannot be reached (ECONNREFUSED)"]);
  state.text = "http://me:secret@nowhere:1";
  assert.deepEqual(await asked(), ["unreachable", "has no address"]);
  assert.equal((await probeProxy(proxy, undefined))?.target, null);
  state.text = undefined;
  assert.equal(await probeProxy(proxy, target), undefined);
});
