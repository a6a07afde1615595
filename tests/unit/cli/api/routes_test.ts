import assert from "node:assert/strict";
import { AssertionError } from "../../../../lib/base/errors.ts";
import { fromBase64Url, toBase64Url } from "../../../../cli/engine/base64.ts";
import { answer, networkSettings } from "../../../../cli/api/routes.ts";
import type { NetworkInfo, StatusInfo } from "../../../../cli/api/view.ts";
import { answerWebApp } from "../../../../cli/api/web_app.ts";
import { FakeService } from "./fake_service.ts";

function ask(service: FakeService, method: string, target: string, body = "") {
  const [path, query = ""] = target.split("?");
  return answer(
    {
      method,
      path,
      query: new URLSearchParams(query),
      headers: { "x-zt1-auth": "t" },
      remote: "127.0.0.1",
      body,
      signal: new AbortController().signal,
    },
    service,
    { authToken: "t", metricsToken: "m", allowManagementFrom: () => [] },
  );
}

const makeService = () => new FakeService({ address: "19810bb6a3" } as StatusInfo);

Deno.test("answer() wraps JSONP only for a name that is one", async () => {
  const service = makeService();
  assert.equal((await ask(service, "GET", "/peer?jsonp=a.b_1")).body, "a.b_1([]);");
  for (const name of ["<script>", "a;b", "1a", "", "a.", "a".repeat(65)]) {
    const target = `/peer?jsonp=${encodeURIComponent(name)}`;
    const response = await ask(service, "GET", target);
    assert.deepEqual([response.body, response.contentType], ["[]", "application/json"], name);
  }
});

Deno.test("answer() leaves a file of the user interface as it is, JSONP or not", async () => {
  const service = makeService();
  service.webFile = () => Uint8Array.of(0x7b, 0x7d);
  const response = await ask(service, "GET", "/app/a.json?jsonp=f");
  assert.deepEqual(response.body, Uint8Array.of(0x7b, 0x7d));
});

Deno.test("answer() turns an exception into 500 with an escaped description, but never a broken invariant", async () => {
  const service = makeService();
  service.peers = () => {
    throw new Error('a "quoted" reason');
  };
  const response = await ask(service, "GET", "/peer");
  assert.equal(response.status, 500);
  assert.equal(response.body, '{"error": 500, "description": "a \\"quoted\\" reason"}');
  service.peers = () => {
    throw new AssertionError("broken");
  };
  await assert.rejects(ask(service, "GET", "/peer"), AssertionError);
});

Deno.test("answer() takes the long poll's time within its bound", async () => {
  const service = makeService();
  const network = { id: "8056c2e21c000001" } as NetworkInfo;
  const path = "/zt/network/8056c2e21c000001/wait";
  assert.equal((await ask(service, "GET", path)).status, 404);
  service.wait = { ready: true, network };
  const response = await ask(service, "GET", `${path}?timeout=99999999`);
  assert.equal(response.body, '{"network":{"id":"8056c2e21c000001"},"ready":true}');
  assert.deepEqual(service.log, ["wait 8056c2e21c000001 60000", "wait 8056c2e21c000001 60000"]);
  assert.equal((await ask(service, "GET", `${path}?timeout=x`)).status, 400);
  assert.equal((await ask(service, "GET", "/zt/network/xyz/wait")).status, 404);
});

Deno.test("answer() checks a planet before it is put in use", async () => {
  const service = makeService();
  for (const body of ["{}", "[]", '{"world":5}', '{"world":"a b"}']) {
    assert.equal((await ask(service, "POST", "/zt/planet", body)).status, 400, body);
  }
  assert.equal((await ask(service, "POST", "/zt/planet", "{bad")).status, 500);
  assert.equal(
    (await ask(service, "POST", "/zt/planet", '{"world":"AQI","replace":true}')).status,
    200,
  );
  assert.deepEqual(service.log, ["usePlanet 2 true"]);
});

Deno.test("answer() ends the service only on POST", async () => {
  const service = makeService();
  assert.equal((await ask(service, "GET", "/zt/stop")).status, 404);
  assert.equal((await ask(service, "POST", "/zt/stop")).status, 200);
  assert.deepEqual(service.log, ["stop"]);
});

Deno.test("answer() hands controller requests on, PUT as POST, and gives errors the reference's form", async () => {
  const service = makeService();
  service.controllerAnswer = { status: 500, json: { error: 500, description: "no" } };
  const response = await ask(service, "PUT", "/controller/network", '{"name":"x"}');
  assert.deepEqual([response.status, response.body], [500, '{"error": 500, "description": "no"}']);
  assert.equal((await ask(service, "PATCH", "/controller/network")).status, 404);
  service.controllerAnswer = { status: 400 };
  assert.deepEqual(await ask(service, "GET", "/unstable/controller/network"), {
    status: 400,
    body: "",
  });
  assert.equal((await ask(service, "GET", "/controllers")).status, 404);
  assert.deepEqual(service.controllerCalls, [
    'POST /controller/network {"name":"x"}',
    "GET /unstable/controller/network",
  ]);
});

Deno.test("answer() reads the seed of a moon as leniently as the reference", async () => {
  const service = makeService();
  const seeds: [string, string | undefined][] = [
    ['"ae2ded7b88"', "ae2ded7b88"],
    ['"000000ae2ded7b88"', "ae2ded7b88"], // what `orbit <id> <id>` sends
    ['"AE2DED7B88"', "ae2ded7b88"],
    ['"0x12"', "0000000012"],
    ['"12zz"', "0000000012"],
    ["18", "0000000018"],
    ['"0"', undefined],
    ['""', undefined],
    ['"zz"', undefined],
    ["null", undefined],
    ["[1]", undefined],
  ];
  for (const [seed, wanted] of seeds) {
    const { status, body } = await ask(service, "POST", "/moon/00000000aa", `{"seed":${seed}}`);
    assert.equal(status, 200);
    assert.equal(body === "{}", wanted === undefined, seed);
    assert.deepEqual(service.log.splice(0), wanted === undefined ? [] : [`orbit aa ${wanted}`]);
  }
});

Deno.test("answer() has a moon looked for again while it is waited for, and tells when it is there at once", async () => {
  const service = makeService();
  const waiting = {
    ...{ id: "00000000000000aa", timestamp: 0, roots: [], waiting: true },
    ...{ signature: null, updatesMustBeSignedBy: null },
  };
  service.moonList = [waiting];
  const orbit = async (body: string) =>
    JSON.parse(String((await ask(service, "POST", "/moon/00000000aa", body)).body));
  assert.equal((await orbit('{"seed":"12"}')).waiting, true);
  assert.equal((await orbit("{}")).waiting, true);
  service.onOrbit = () => service.moonList = [{ ...waiting, timestamp: 7, waiting: false }];
  assert.equal((await orbit('{"seed":"13"}')).timestamp, 7);
  assert.equal((await orbit('{"seed":"14"}')).timestamp, 7);
  assert.deepEqual(service.log, ["orbit aa 0000000012", "orbit aa 0000000013"]);
});

Deno.test("networkSettings() takes booleans and nothing else", () => {
  assert.deepEqual(
    networkSettings('{"allowManaged":false,"allowDNS":1,"allowGlobal":"true","x":true}'),
    {
      allowManaged: false,
    },
  );
  for (const body of ["", "{", "[true]", "null"]) assert.deepEqual(networkSettings(body), {});
});

Deno.test("answerWebApp() never leaves its folder", () => {
  const asked: string[] = [];
  const read = (path: string) => void asked.push(path);
  for (
    const path of [
      "/app/../identity.secret",
      "/app/%2e%2e/identity.secret",
      "/app/x/..%2f..%2fauthtoken.secret",
      "/app/a%00b",
      "/app/a%5cb",
      "/app/%zz",
    ]
  ) assert.equal(answerWebApp(path, read as () => undefined).status, 404, path);
  assert.deepEqual(asked, []);
});

Deno.test("fromBase64Url() reads what toBase64Url() writes, and refuses the rest", () => {
  for (let length = 0; length < 40; length++) {
    const bytes = Uint8Array.from({ length }, (_, index) => 255 - index * 7);
    assert.match(toBase64Url(bytes), /^[A-Za-z0-9_-]*$/);
    assert.deepEqual(fromBase64Url(toBase64Url(bytes)), bytes);
  }
  assert.deepEqual(fromBase64Url("AQ=="), Uint8Array.of(1));
  for (const text of ["A", "a b", "+/", "é"]) assert.equal(fromBase64Url(text), undefined, text);
});
