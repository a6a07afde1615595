import assert from "node:assert/strict";
import { connect } from "node:net";
import { type ApiError, SystemError } from "../../../../lib/base/errors.ts";
import { ApiClient } from "../../../../cli/api/client.ts";
import { type ApiServer, openApiServer } from "../../../../cli/api/server.ts";
import type { StatusInfo } from "../../../../cli/api/view.ts";
import { FakeService } from "./fake_service.ts";

const TOKEN = "secret";

async function withServer(
  use: (server: ApiServer, service: FakeService, client: ApiClient) => Promise<void>,
): Promise<void> {
  const service = new FakeService(
    { address: "19810bb6a3", planetWorldId: (1n << 64n) - 1n } as StatusInfo,
  );
  const policy = { authToken: TOKEN, metricsToken: "m", allowManagementFrom: () => [] };
  // Nobody is to be dropped for being slow where it is not about that.
  const server = openApiServer({ view: service, policy, port: 0, headMs: 60_000 });
  const client = new ApiClient({ host: "127.0.0.1", port: server.port, token: TOKEN });
  try {
    await use(server, service, client);
  } finally {
    await server.close();
  }
}

/** Sends bytes and reads until the other side closes; ends its own side once something came. */
function exchange(port: number, text: string, host = "127.0.0.1"): Promise<string> {
  return new Promise((resolve, reject) => {
    let got = "";
    const socket = connect(port, host, () => socket.write(text));
    socket.on("data", (chunk) => {
      got += chunk;
      socket.end();
    });
    socket.on(
      "error",
      (error: Error & { code?: string }) =>
        error.code === "ECONNRESET" || error.code === "EPIPE" ? resolve(got) : reject(error),
    );
    socket.on("close", () => resolve(got));
  });
}

/** Waits for what must come soon; gives up so that a run has an end. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let round = 0; round < 2_000; round++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail("it did not come");
}

Deno.test("openApiServer() serves IPv4 and IPv6, keeping all 64 bits of a planet's id", () =>
  withServer(async (server, _service, client) => {
    assert.deepEqual(await client.call("GET", "/status"), {
      address: "19810bb6a3",
      planetWorldId: (1n << 64n) - 1n,
    });
    if (!Deno.networkInterfaces().some(({ address }) => address === "::1")) return;
    const request = `GET /status HTTP/1.1\r\nHost: x\r\nX-ZT1-Auth: ${TOKEN}\r\n\r\n`;
    assert.match(await exchange(server.port, request, "::1"), /^HTTP\/1\.1 200 OK\r\n/);
  }));

Deno.test("openApiServer() answers HEAD with the headers of GET and no body", () =>
  withServer(async (server) => {
    const got = await exchange(
      server.port,
      `HEAD /status HTTP/1.1\r\nHost: x\r\nX-ZT1-Auth: ${TOKEN}\r\nConnection: close\r\n\r\n`,
    );
    assert.match(got, /^HTTP\/1\.1 200 /);
    assert.match(got, /content-length: 61\r\n/i);
    assert.ok(got.endsWith("\r\n\r\n"));
  }));

Deno.test("openApiServer() answers requests without Host, as the reference's zerotier-cli sends them", () =>
  withServer(async (server) => {
    const headers = `X-ZT1-Auth: ${TOKEN}\r\nConnection: close\r\n`;
    const got = await exchange(server.port, `GET /status HTTP/1.1\r\n${headers}\r\n`);
    assert.match(got, /^HTTP\/1\.1 200 /);
  }));

Deno.test("openApiServer() refuses what is not HTTP, an unknown method and a target that is no path", () =>
  withServer(async (server) => {
    for (
      const request of [
        "nonsense\r\n\r\n",
        "FOO /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET http://elsewhere/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      ]
    ) assert.match(await exchange(server.port, request), /^HTTP\/1\.1 400 /, request);
  }));

Deno.test("openApiServer() takes no body beyond its bound", () =>
  withServer(async (server, service) => {
    const length = 5 * 1024 * 1024;
    const head = `POST /config/settings HTTP/1.1\r\nHost: x\r\nX-ZT1-Auth: ${TOKEN}\r\n` +
      `Content-Length: ${length}\r\n\r\n`;
    const got = await exchange(server.port, head + `{"a":"${"x".repeat(length - 8)}"}`);
    assert.ok(got === "" || got.startsWith("HTTP/1.1 413 "), got.slice(0, 100));
    assert.deepEqual(service.localConf, {});
  }));

Deno.test("openApiServer() bounds connections and serves again when they are gone", () =>
  withServer(async (server, _service, client) => {
    const sockets = [];
    let dropped = 0;
    for (let i = 0; i < 150; i++) {
      const socket = connect(server.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.on("close", () => dropped++);
      sockets.push(socket);
      await new Promise((resolve) => socket.once("connect", resolve));
    }
    await until(() => dropped >= 150 - 128);
    for (const socket of sockets) socket.destroy();
    await until(() => dropped === 150);
    await until(async () => (await client.send("GET", "/status")).status === 200);
  }));

Deno.test("openApiServer() hears who has the token while others hold every connection", () =>
  withServer(async (server, _service, client) => {
    const sockets = Array.from(
      { length: 128 },
      () => connect(server.port, "127.0.0.1").on("error", () => {}),
    );
    await Promise.all(sockets.map((socket) => new Promise((done) => socket.once("connect", done))));
    try {
      assert.equal((await client.send("GET", "/status")).status, 200);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  }));

Deno.test("openApiServer() says that a port is taken", () =>
  withServer((server, service) => {
    const policy = { authToken: TOKEN, metricsToken: "m", allowManagementFrom: () => [] };
    assert.throws(
      () => openApiServer({ view: service, policy, port: server.port }),
      (error: SystemError) =>
        error instanceof SystemError &&
        /^listen on TCP port \d+ failed: EADDRINUSE \(another service uses it; choose one with -p\)$/
          .test(error.message),
    );
    return Promise.resolve();
  }));

/** A POST of settings with these fields and this body; they are in `service.localConf` when it was taken. */
function post(port: number, fields: string[], body: string): Promise<string> {
  const head = ["POST /config/settings HTTP/1.1", `X-ZT1-Auth: ${TOKEN}`, ...fields].join("\r\n");
  return exchange(port, `${head}\r\n\r\n${body}`);
}

Deno.test("openApiServer() takes a body by its length or in chunks", () =>
  withServer(async (server, service) => {
    const settings = '{"portMappingEnabled":false}';
    const half = settings.length >> 1;
    const chunks = [settings.slice(0, half), settings.slice(half)]
      .map((part) => `${part.length.toString(16)};ext=1\r\n${part}\r\n`).join("");
    const ways: [string[], string][] = [
      [[`Content-Length: ${settings.length}`], `${settings}, and what is not its own`],
      [["Transfer-Encoding: chunked"], `${chunks}0\r\nTrailer: x\r\n\r\n`],
    ];
    for (const [fields, body] of ways) {
      service.localConf = {};
      assert.match(await post(server.port, fields, body), /^HTTP\/1\.1 200 OK\r\n/);
      assert.deepEqual(service.localConf, { settings: { portMappingEnabled: false } });
    }
    const asked = await post(server.port, ["Content-Length: 2", "Expect: 100-continue"], "{}");
    assert.match(asked, /^HTTP\/1\.1 100 Continue\r\n\r\n/);
  }));

Deno.test("openApiServer() reads no body of who has no token: it is answered before", () =>
  withServer(async (server) => {
    const endless = "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
    for (const [path, status] of [["/config/settings", 401], ["/health", 404]] as const) {
      const got = await exchange(server.port, `POST ${path} HTTP/1.1\r\n${endless}`);
      assert.ok(got.startsWith(`HTTP/1.1 ${status} `), got);
    }
    const wrong = `X-ZT1-Auth: no\r\n${endless}`;
    assert.match(
      await exchange(server.port, `PUT /status HTTP/1.1\r\n${wrong}`),
      /^HTTP\/1.1 401 /,
    );
  }));

Deno.test("openApiServer() refuses a body whose length is not one thing", () =>
  withServer(async (server, service) => {
    const refusals: [string[], string, number][] = [
      [["Content-Length: 2", "Content-Length: 3"], "{}", 400],
      [["Content-Length: -1"], "{}", 400],
      [["Content-Length: 2", "Transfer-Encoding: chunked"], "2\r\n{}\r\n0\r\n\r\n", 400],
      [["Transfer-Encoding: gzip"], "", 501],
      [["Transfer-Encoding: chunked"], "nonsense\r\n", 400],
      [["Transfer-Encoding: chunked"], "1\r\n{}\r\n0\r\n\r\n", 400],
      [["Transfer-Encoding: chunked"], "x".repeat(300), 400],
      [["Transfer-Encoding: chunked"], "400001\r\n", 413],
      [["Transfer-Encoding: chunked"], `0\r\n${"A: b\r\n".repeat(20)}`, 400],
    ];
    for (const [fields, body, status] of refusals) {
      const got = await post(server.port, fields, body);
      assert.ok(got.startsWith(`HTTP/1.1 ${status} `), `${fields}: ${got}`);
    }
    assert.deepEqual(service.localConf, {});
  }));

Deno.test("openApiServer() drops who does not say what they want", async () => {
  const view = new FakeService({} as StatusInfo);
  const policy = { authToken: TOKEN, metricsToken: "m", allowManagementFrom: () => [] };
  const server = openApiServer({ view, policy, port: 0, headMs: 20 });
  assert.equal(await exchange(server.port, "GET /status HTTP/1.1\r\n"), "");
  await server.close();
});

Deno.test("openApiServer() lets the client close first, so that its port is free at once", () =>
  withServer(async (server) => {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    const request = `GET /status HTTP/1.1\r\nHost: x\r\nX-ZT1-Auth: ${TOKEN}\r\n\r\n`;
    await conn.write(new TextEncoder().encode(request));
    const got = new Uint8Array(4_096);
    const length = await conn.read(got) ?? 0;
    assert.match(new TextDecoder().decode(got.subarray(0, length)), /^connection: close\r$/im);
    conn.close();
    await server.close();
    const port = server.port.toString(16).padStart(4, "0").toUpperCase();
    for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
      const waiting = new RegExp(`^ *\\d+: [0-9A-F]+:${port} [0-9A-F]+:[0-9A-F]+ 06 `, "m");
      assert.doesNotMatch(Deno.readTextFileSync(table), waiting);
    }
  }));

Deno.test("openApiServer() answers what is under way when it closes, and tells a long poll", () =>
  withServer(async (server, service, client) => {
    const asked = Promise.withResolvers<AbortSignal>();
    service.waitNetwork = (_id, _timeoutMs, signal) => {
      asked.resolve(signal);
      return new Promise<undefined>((resolve) =>
        signal.addEventListener("abort", () => resolve(undefined))
      );
    };
    const answered = client.send("GET", "/zt/network/8056c2e21c000001/wait");
    assert.equal((await asked.promise).aborted, false);
    await server.close();
    assert.equal((await answered).status, 404);
  }));

Deno.test("openApiServer() ends a long poll whose client hangs up", () =>
  withServer(async (server, service) => {
    const asked = Promise.withResolvers<AbortSignal>();
    service.waitNetwork = (_id, _timeoutMs, signal) => {
      asked.resolve(signal);
      return new Promise<undefined>((resolve) =>
        signal.addEventListener("abort", () => resolve(undefined))
      );
    };
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    const path = `/zt/network/8056c2e21c000001/wait?auth=${TOKEN}`;
    await conn.write(new TextEncoder().encode(`GET ${path} HTTP/1.1\r\n\r\n`));
    const signal = await asked.promise;
    conn.close();
    await until(() => signal.aborted);
  }));

Deno.test("ApiClient.call() turns refusals into what the user can do", () =>
  withServer(async (server, service, client) => {
    const stranger = new ApiClient({ ...client.target, token: "wrong" });
    await assert.rejects(stranger.call("GET", "/status"), /refused the token; check -D or -T/);
    await assert.rejects(client.call("GET", "/nosuch"), (error: ApiError) => error.status === 404);
    await assert.rejects(
      client.call("POST", "/zt/planet", { world: "AQ" }),
      (error: ApiError) =>
        error.status === 409 && error.message === "another planet is in use; add --replace",
    );
    assert.deepEqual(service.log, ["usePlanet 1 false"]);
    await server.close();
    await assert.rejects(
      client.call("GET", "/status"),
      /no service answers at 127\.0\.0\.1:\d+; start one with: zt service/,
    );
  }));
