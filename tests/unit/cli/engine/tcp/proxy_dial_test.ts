/** Asking a proxy, against one on loopback that answers as it is told. */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { parseEndpoint, parseIp } from "../../../../../lib/base/ip.ts";
import { parseHttpProxy } from "../../../../../cli/engine/tcp/http_proxy.ts";
import {
  connectRequest,
  ProxyDial,
  type ProxyHop,
  type ProxyTrouble,
} from "../../../../../cli/engine/tcp/proxy_dial.ts";

const TARGET = parseEndpoint("44.0.0.1/443")!;
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (text: string) => new TextEncoder().encode(text);

/** A proxy that says these pieces, one after the other, and then ends the connection or holds it. */
function startProxy(pieces: Iterable<string>, ends = false) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const heard = Promise.withResolvers<string>();
  const done = (async () => {
    let conn: Deno.Conn | undefined;
    try {
      conn = await listener.accept();
      const buffer = new Uint8Array(4_096);
      const length = await conn.read(buffer) ?? 0;
      heard.resolve(text(buffer.subarray(0, length)));
      for (const piece of pieces) {
        await conn.write(bytes(piece));
        await new Promise((resolve) => setTimeout(resolve)); // pieces of their own
      }
      if (!ends) { while (await conn.read(buffer) !== null); }
    } catch {
      // The other end had heard enough, or never came.
    }
    conn?.close();
  })();
  const proxy = parseHttpProxy(`http://me:secret@127.0.0.1:${port}`)!;
  const hop: ProxyHop = { proxy, at: { ip: parseIp("127.0.0.1")!, port } };
  const close = async () => {
    listener.close();
    await done;
  };
  return { hop, heard: heard.promise, close };
}

function dial(hop: ProxyHop, answerMs?: number): Promise<Socket | ProxyTrouble> {
  const { promise, resolve } = Promise.withResolvers<Socket | ProxyTrouble>();
  new ProxyDial(hop, TARGET, { onThrough: resolve, onRefused: resolve }, answerMs);
  return promise;
}

async function refusal(pieces: Iterable<string>, ends = false, answerMs?: number) {
  const proxy = startProxy(pieces, ends);
  const outcome = await dial(proxy.hop, answerMs);
  assert.ok("kind" in outcome, "not through");
  assert.doesNotMatch(outcome.text, /secret|me:/);
  await proxy.close();
  return outcome;
}

Deno.test("connectRequest() asks for the relay, and says who asks", () => {
  const proxy = { host: "proxy", port: 1 };
  assert.equal(
    text(connectRequest(TARGET, proxy)),
    "CONNECT 44.0.0.1:443 HTTP/1.1\r\nHost: 44.0.0.1:443\r\n\r\n",
  );
  const ipv6 = { ip: parseIp("2a00::1")!, port: 8443 };
  assert.equal(
    text(connectRequest(ipv6, { ...proxy, authorization: "Basic eA==" })),
    "CONNECT [2a00::1]:8443 HTTP/1.1\r\nHost: [2a00::1]:8443\r\nProxy-Authorization: Basic eA==\r\n\r\n",
  );
});

Deno.test("ProxyDial goes through on 200, however the answer is cut", async () => {
  const answer = "HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n";
  for (const pieces of [[answer], [...answer], ["HTTP/1.0 200 OK\r\n\r", "\n"]]) {
    const proxy = startProxy(pieces);
    const outcome = await dial(proxy.hop);
    assert.ok(!("kind" in outcome), "through");
    assert.match(await proxy.heard, /^CONNECT 44\.0\.0\.1:443 HTTP\/1\.1\r\n/);
    assert.match(await proxy.heard, /\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n$/);
    outcome.destroy();
    await proxy.close();
  }
});

Deno.test("ProxyDial tells what a proxy wants with 407", async () => {
  const head = "HTTP/1.1 407 Proxy Authentication Required\r\n";
  const wrong = await refusal([`${head}Proxy-Authenticate: Basic realm="x"\r\n\r\n`, "<html>"]);
  assert.deepEqual(wrong, {
    kind: "password",
    text: "does not take the user and password it is given (407)",
  });
  const tinyproxy = await refusal(["HTTP/1.1 401 Unauthorized\r\nServer: tinyproxy\r\n\r\n"]);
  assert.deepEqual(tinyproxy, {
    kind: "password",
    text: "does not take the user and password it is given (401)",
  });
  const ntlm = `Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\x1b[31m\r\n\r\n`;
  assert.deepEqual(await refusal([head + ntlm]), {
    kind: "password",
    text: "wants a log-in other than Basic, which is all zt knows: Negotiate  NTLM  31m (407)",
  });
  const proxy = startProxy([`${head}\r\n`]);
  const outcome = await dial({ ...proxy.hop, proxy: { host: "127.0.0.1", port: 1 } });
  assert.deepEqual(outcome, { kind: "password", text: "asks for a user and a password (407)" });
  await proxy.close();
});

Deno.test("ProxyDial takes any other status, and an end without one, for a refusal", async () => {
  assert.deepEqual(await refusal(["HTTP/1.1 403 \x1b[31mForbidden\r\n\r\n"]), {
    kind: "refused",
    text: "answers 403 to CONNECT 44.0.0.1/443",
  });
  const ended = await refusal(["HTTP/1.1 200 "], true);
  assert.deepEqual(ended, { kind: "refused", text: "closed the connection instead of an answer" });
});

Deno.test("ProxyDial is not taken in by what is no proxy", async () => {
  const endless = function* () {
    yield "HTTP/1.1 200 OK\r\n";
    for (let i = 0; i < 100; i++) yield `X-${i}: ${"x".repeat(1_000)}\r\n`;
  };
  const garbage: Iterable<string>[] = [
    ["SSH-2.0-OpenSSH_9.2\r\n\r\n"],
    ["HTTP/1.1 2000 OK\r\n\r\n"],
    ["HTTP/2 200\r\n\r\n"],
    ["HTTP/1.1 200 OK\r\nno field\r\n\r\n"],
    ["HTTP/1.1 200 OK\r\n\r\nand more"],
    ["x".repeat(20_000)],
    endless(),
  ];
  for (const pieces of garbage) assert.equal((await refusal(pieces)).kind, "garbage");
});

Deno.test("ProxyDial gives up a proxy that is not there, or says nothing", async () => {
  const silent = await refusal([], false, 20);
  assert.deepEqual(silent, { kind: "refused", text: "does not answer to CONNECT 44.0.0.1/443" });
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr as Deno.NetAddr;
  taken.close();
  const hop = { proxy: { host: "127.0.0.1", port }, at: { ip: parseIp("127.0.0.1")!, port } };
  assert.deepEqual(await dial(hop), {
    kind: "unreachable",
    text: "cannot be reached (ECONNREFUSED)",
  });
});

Deno.test("ProxyDial.close() ends it without a word", async () => {
  const proxy = startProxy(["HTTP/1.1 200 OK\r\n\r\n"]);
  const unwanted = () => assert.fail("nothing is told any more");
  const one = new ProxyDial(proxy.hop, TARGET, { onThrough: unwanted, onRefused: unwanted });
  one.close();
  one.close();
  await proxy.close();
});
