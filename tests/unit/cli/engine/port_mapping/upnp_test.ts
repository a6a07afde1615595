import assert from "node:assert/strict";
import { utf8 } from "../../../../../lib/base/bytes.ts";
import { formatEndpoint, parseIp } from "../../../../../lib/base/ip.ts";
import { parseSearchAnswer } from "../../../../../cli/engine/port_mapping/ssdp.ts";
import {
  parseDescription,
  soapBody,
  UpnpClient,
} from "../../../../../cli/engine/port_mapping/upnp.ts";
import {
  describe,
  FakeIgd,
  FakeWire,
  QUICK_SEARCH,
  searchAnswer,
  silence,
  WISH,
} from "./gateway.ts";

const never = new AbortController().signal;
const ROUTER = parseIp("192.168.1.1")!;
const DESCRIPTION = "ZeroTier/a1b2c3d4e5@31000";

function clientOf(igd: FakeIgd): UpnpClient {
  return new UpnpClient(WISH, { address: "a1b2c3d4e5", http: igd.http, timing: QUICK_SEARCH });
}

async function mapped(igd: FakeIgd, client = clientOf(igd)): Promise<string> {
  const outcome = await client.map(igd.wire(), never);
  assert.ok(outcome.kind === "mapped", JSON.stringify(outcome));
  return formatEndpoint(outcome.mapping.external);
}

Deno.test("parseSearchAnswer() takes a description at the machine that answered, nowhere else", () => {
  const at = (location: string) => parseSearchAnswer(utf8(searchAnswer(location)), ROUTER)?.href;
  assert.equal(at("http://192.168.1.1:5000/root.xml"), "http://192.168.1.1:5000/root.xml");
  for (
    const location of [
      "http://192.168.1.2:5000/root.xml",
      "http://example.com/root.xml",
      "https://192.168.1.1/root.xml",
      "http://user:word@192.168.1.1/root.xml",
      "file:///etc/passwd",
      `http://192.168.1.1/${"x".repeat(2_000)}`,
    ]
  ) assert.equal(at(location), undefined, location);
  const notify = utf8("NOTIFY * HTTP/1.1\r\nLocation: http://192.168.1.1/\r\n\r\n");
  assert.equal(parseSearchAnswer(notify, ROUTER), undefined);
});

Deno.test("parseDescription() finds the services that map ports, the best first", () => {
  const from = new URL("http://192.168.1.1:5000/root.xml");
  const urls = (xml: string) => parseDescription(xml, from).map(({ control }) => control.href);
  assert.deepEqual(urls(describe("/ctl")), ["http://192.168.1.1:5000/ctl"]);
  assert.deepEqual(urls(describe("ctl?a=1&amp;b=2")), ["http://192.168.1.1:5000/ctl?a=1&b=2"]);
  assert.deepEqual(urls(describe("http://192.168.1.1:49152/c")), ["http://192.168.1.1:49152/c"]);
  assert.deepEqual(urls(describe("http://10.0.0.1/c")), [], "another machine");
  assert.deepEqual(urls(describe("/ctl", "urn:schemas-upnp-org:service:Other:1")), []);
  const based = describe("/ctl").replace(
    "<device>",
    "<URLBase>http://192.168.1.1:80/</URLBase><device>",
  );
  assert.deepEqual(urls(based), ["http://192.168.1.1/ctl"]);
  const ppp = describe("/ppp", "urn:schemas-upnp-org:service:WANPPPConnection:1");
  const types = parseDescription(ppp + describe("/ip"), from).map(({ type }) => type);
  assert.match(types[0], /WANIPConnection:1$/);
  assert.deepEqual(urls(`<!DOCTYPE a [<!ENTITY x "y">]>${describe("/ctl")}`), []);
});

Deno.test("soapBody() escapes what it is given", () => {
  assert.match(soapBody("urn:t", "Do", { A: "<&>" }), /<A>&#60;&#38;&#62;<\/A>/);
});

Deno.test("UpnpClient.map() adds an entry under the reference's description, with a lease", async () => {
  const igd = new FakeIgd();
  assert.equal(await mapped(igd), "44.7.7.7/31000");
  assert.deepEqual([...igd.table], [[31_000, {
    client: "192.168.1.20",
    internalPort: 31_000,
    description: DESCRIPTION,
    leaseS: 3_600,
  }]]);
});

Deno.test("UpnpClient.map() takes a lease without end where there is no other", async () => {
  const igd = new FakeIgd();
  igd.onlyPermanent = true;
  const client = clientOf(igd);
  const outcome = await client.map(igd.wire(), never);
  assert.ok(outcome.kind === "mapped");
  assert.equal(outcome.mapping.lifetimeS, Infinity);
  assert.equal(igd.table.get(31_000)?.leaseS, 0);
  const { length } = igd.calls;
  await mapped(igd, client);
  assert.equal(igd.calls.length - length, 2, "the address and the entry that is still there");
});

Deno.test("UpnpClient.map() leaves the entries of others alone and counts up", async () => {
  const igd = new FakeIgd();
  const theirs = { client: "192.168.1.30", internalPort: 1, description: "game", leaseS: 0 };
  for (const port of [31_000, 31_001]) igd.table.set(port, { ...theirs });
  assert.equal(await mapped(igd), "44.7.7.7/31002");
  assert.deepEqual(igd.table.get(31_000), theirs);
  for (let port = 31_002; port < 31_100; port++) igd.table.set(port, { ...theirs });
  const outcome = await clientOf(igd).map(igd.wire(), never);
  assert.deepEqual(outcome, { kind: "refused", reason: "the port is taken" });
});

Deno.test("UpnpClient.map() says why it was refused, and when nobody answers", async () => {
  const igd = new FakeIgd();
  igd.refusal = 606;
  const refused = await clientOf(igd).map(igd.wire(), never);
  assert.deepEqual(refused, { kind: "refused", reason: "not authorized" });
  assert.deepEqual(await clientOf(igd).map(silence(), never), { kind: "silent" });
  igd.externalIp = "0.0.0.0";
  const unconnected = await clientOf(igd).map(igd.wire(), never);
  assert.deepEqual(unconnected, { kind: "silent" }, "an IGD without an address is not the way out");
});

Deno.test("UpnpClient.map() follows a changed address, and finds a router again that moved", async () => {
  const igd = new FakeIgd();
  const client = clientOf(igd);
  assert.equal(await mapped(igd, client), "44.7.7.7/31000");
  igd.externalIp = "44.8.8.8";
  assert.equal(await mapped(igd, client), "44.8.8.8/31000");
  const searches = igd.calls.filter((call) => call.startsWith("GET")).length;
  assert.equal(searches, 1, "what is known is not looked for");
  igd.ip = "192.168.1.2";
  assert.equal(await mapped(igd, client), "44.8.8.8/31000");
});

Deno.test("UpnpClient.unmap() deletes the entry", async () => {
  const igd = new FakeIgd();
  const client = clientOf(igd);
  await mapped(igd, client);
  await client.unmap();
  assert.equal(igd.table.size, 0);
});

Deno.test("UpnpClient.map() looks into eight answers at most", async () => {
  const igd = new FakeIgd();
  igd.ip = "192.168.1.77";
  let answered = false;
  const wire = new FakeWire(() => {
    if (answered) return [];
    answered = true;
    return Array.from({ length: 100 }, (_, i) => {
      const location = `http://192.168.1.${i + 100}:1/${i}.xml`;
      return [`192.168.1.${i + 100}/1900`, utf8(searchAnswer(location))] as [string, Uint8Array];
    });
  });
  assert.equal((await clientOf(igd).map(wire, never)).kind, "silent");
  assert.equal(igd.calls.length, 8);
});
