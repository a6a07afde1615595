import assert from "node:assert/strict";
import { parseIp } from "../../../../../lib/base/ip.ts";
import {
  chooseProxy,
  formatHttpProxy,
  parseHttpProxy,
} from "../../../../../cli/engine/tcp/http_proxy.ts";

const basic = (credentials: string) => `Basic ${btoa(credentials)}`;
const from = (variables: Record<string, string>) => (name: string) => variables[name];

Deno.test("parseHttpProxy() reads host, port, user and password", () => {
  const cases: [string, ReturnType<typeof parseHttpProxy>][] = [
    ["http://proxy.example:3128", { host: "proxy.example", port: 3128 }],
    ["http://10.0.0.1:8080/", { host: "10.0.0.1", port: 8080 }],
    ["http://[fd00::1]:3128", { host: "fd00::1", port: 3128 }],
    ["HTTP://proxy", { host: "proxy", port: 80 }],
    ["proxy:3128", { host: "proxy", port: 3128 }],
    [" a:b@proxy:1 ", { host: "proxy", port: 1, authorization: basic("a:b") }],
    ["http://a:b%40c%2fd@proxy:1", { host: "proxy", port: 1, authorization: basic("a:b@c/d") }],
    ["http://a:b@c@proxy:1", { host: "proxy", port: 1, authorization: basic("a:b@c") }],
    ["http://a:100%@proxy:1", { host: "proxy", port: 1, authorization: basic("a:100%") }],
    ["http://token@proxy:1", { host: "proxy", port: 1, authorization: basic("token:") }],
  ];
  for (const [text, proxy] of cases) assert.deepEqual(parseHttpProxy(text), proxy, text);
  const umlaut = parseHttpProxy("http://j%C3%BCrgen:x@proxy:1")!;
  assert.equal(umlaut.authorization, "Basic asO8cmdlbjp4"); // UTF-8, as RFC 7617 has it
});

Deno.test("parseHttpProxy() takes nothing it could misread", () => {
  const wrong = [
    "",
    "https://proxy:3128",
    "socks5://proxy:1080",
    "http://",
    "http://proxy:0",
    "http://proxy:70000",
    "http://two words:1",
    "http://user:12/34@proxy:80", // host "user", port 12: half the password would be shown
    "http://user:12?34@proxy:80",
    "http://user:12#34@proxy:80",
    "http://a%3Ab:c@proxy:1",
  ];
  for (const text of wrong) assert.equal(parseHttpProxy(text), undefined, text);
});

Deno.test("formatHttpProxy() shows neither user nor password", () => {
  assert.equal(
    formatHttpProxy(parseHttpProxy("http://user:secret@[fd00::1]:3128")!),
    "[fd00::1]:3128",
  );
  assert.equal(formatHttpProxy(parseHttpProxy("http://user:secret@proxy:1")!), "proxy:1");
});

Deno.test("chooseProxy() takes local.conf, then the first variable that says anything", () => {
  const setting = { host: "own", port: 1 };
  const both = from({ https_proxy: "http://env:2" });
  assert.deepEqual(chooseProxy(setting, both)?.proxy, setting);
  assert.equal(chooseProxy(setting, both)?.source, "local.conf");
  assert.equal(chooseProxy("none", both), undefined);
  assert.equal(chooseProxy(undefined, from({})), undefined);
  const order = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
  const all: Record<string, string> = Object.fromEntries(
    order.map((name) => [name, `http://${name.replace("_", "-")}:1`]),
  );
  for (const name of order) {
    const choice = chooseProxy(undefined, from(all))!;
    assert.equal(choice.source, name);
    assert.equal(choice.proxy?.host, name.replace("_", "-").toLowerCase());
    all[name] = " ";
  }
  assert.equal(chooseProxy(undefined, from(all)), undefined);
});

Deno.test("chooseProxy() says of a variable with another kind of proxy that it cannot be used", () => {
  const choice = chooseProxy(undefined, from({ all_proxy: "socks5://user:secret@proxy:1080" }))!;
  assert.deepEqual([choice.proxy, choice.source], [undefined, "all_proxy"]);
});

Deno.test("chooseProxy() leaves out what no_proxy lists, but not for the setting", () => {
  const variables = {
    https_proxy: "proxy:1",
    no_proxy: "localhost, .example.com,10.0.0.0/8 44.0.0.1 [2a00::1]",
  };
  const { isBypassed } = chooseProxy(undefined, from(variables))!;
  const bypassed = (text: string) => isBypassed(parseIp(text)!);
  for (const text of ["10.1.2.3", "44.0.0.1", "2a00::1"]) assert.ok(bypassed(text), text);
  for (const text of ["11.1.2.3", "44.0.0.2", "2a00::2"]) assert.ok(!bypassed(text), text);
  const star = chooseProxy(undefined, from({ all_proxy: "proxy:1", NO_PROXY: "*" }))!;
  assert.ok(star.isBypassed(parseIp("44.0.0.2")!));
  const own = chooseProxy({ host: "own", port: 1 }, from({ no_proxy: "*" }))!;
  assert.ok(!own.isBypassed(parseIp("44.0.0.2")!));
});
