import assert from "node:assert/strict";
import { parsePrefix } from "../../../../lib/base/ip.ts";
import { isAuthorized, isManager } from "../../../../cli/api/auth.ts";

const AUTH = "authtoken";
const METRICS = "metricstoken";

interface Case {
  path?: string;
  query?: string;
  headers?: Record<string, string>;
  remote?: string;
  allowed?: string[];
}

function authorized(
  { path = "/status", query = "", headers = {}, remote = "127.0.0.1", allowed = [] }: Case,
) {
  return isAuthorized({ path, query: new URLSearchParams(query), headers, remote }, {
    authToken: AUTH,
    metricsToken: METRICS,
    allowManagementFrom: () => allowed.map((text) => parsePrefix(text)!),
  });
}

const right = { "x-zt1-auth": AUTH };
const wrong = { "x-zt1-auth": "wrong" };

Deno.test("isAuthorized() lets the first token present decide: header, query, bearer", () => {
  const cases: [Case, boolean][] = [
    [{}, false],
    [{ headers: right }, true],
    [{ headers: wrong }, false],
    [{ headers: { "x-zt1-auth": "" } }, false],
    [{ headers: { "x-zt1-auth": "" }, query: `auth=${AUTH}` }, true],
    [{ query: `auth=${AUTH}` }, true],
    [{ query: "auth=" }, false],
    [{ query: `auth=${AUTH}`, headers: wrong }, false],
    [{ query: "auth=wrong", headers: right }, true],
    [{ query: "auth=wrong", headers: { authorization: `Bearer ${AUTH}` } }, false],
    [{ headers: { ...wrong, authorization: `Bearer ${AUTH}` } }, false],
    [{ headers: { authorization: `Bearer ${AUTH}` } }, true],
    [{ headers: { authorization: `bEaReR ${AUTH}` } }, true],
    [{ headers: { authorization: `Bearer ${AUTH} more` } }, false],
    [{ headers: { authorization: `Basic ${AUTH}` } }, false],
    [{ headers: { authorization: AUTH } }, false],
    [{ headers: { "x-zt1-auth": METRICS } }, false],
    [{ headers: { "x-zt1-auth": `${AUTH}x` } }, false],
  ];
  for (const [given, wanted] of cases) {
    assert.equal(authorized(given), wanted, JSON.stringify(given));
  }
});

Deno.test("isAuthorized() asks for no token at the open paths, but for the source", () => {
  for (const path of ["/health", "/sso", "/app", "/app/x", "/apple"]) {
    assert.equal(authorized({ path }), true, path);
    assert.equal(authorized({ path, remote: "10.0.0.1" }), false, path);
  }
  assert.equal(authorized({ path: "/healthy" }), false);
  assert.equal(authorized({ path: "/health/" }), false);
});

Deno.test("isAuthorized() lets metrics be read from anywhere, with either token", () => {
  const path = "/metrics";
  assert.equal(authorized({ path }), false);
  assert.equal(authorized({ path, headers: { "x-zt1-auth": METRICS } }), true);
  assert.equal(authorized({ path, headers: right, remote: "203.0.113.9" }), true);
  assert.equal(authorized({ path, headers: wrong, query: `auth=${METRICS}` }), false);
});

Deno.test("isAuthorized() refuses an empty token even when the service has none", () => {
  const policy = { authToken: "", metricsToken: "", allowManagementFrom: () => [] };
  const request = {
    path: "/status",
    query: new URLSearchParams("auth="),
    headers: {},
    remote: "::1",
  };
  assert.equal(isAuthorized(request, policy), false);
  assert.equal(isAuthorized({ ...request, path: "/metrics" }, policy), false);
});

Deno.test("isManager() knows loopback in every form, and the networks of the user", () => {
  const cases: [string, string[], boolean][] = [
    ["127.0.0.1", [], true],
    ["127.255.1.2", [], true],
    ["::1", [], true],
    ["fe80::1", [], true],
    ["fe80::1%lo", [], true],
    ["fe80::2", [], false],
    ["::ffff:127.0.0.1", [], true],
    ["::ffff:10.0.0.1", [], false],
    ["::ffff:10.0.0.1", ["10.0.0.0/8"], true],
    ["10.0.0.1", ["10.0.0.0/8"], true],
    ["11.0.0.1", ["10.0.0.0/8"], false],
    ["fd00::5", ["fd00::/8"], true],
    ["128.0.0.1", [], false],
    ["", ["0.0.0.0/0", "::/0"], false],
    ["no address", ["0.0.0.0/0", "::/0"], false],
  ];
  for (const [remote, allowed, wanted] of cases) {
    assert.equal(isManager(remote, allowed.map((text) => parsePrefix(text)!)), wanted, remote);
  }
});
