/**
 * Every recorded request to the reference's local API that is not the controller's, replayed in
 * order against our routes. The service behind them is a fake with the recorded state; what a
 * request changes is changed by our routes.
 */
import assert from "node:assert/strict";
import { parsePrefix } from "../../../../lib/base/ip.ts";
import { headersOf } from "../../../../cli/api/response.ts";
import { answer } from "../../../../cli/api/routes.ts";
import {
  effectiveConfig,
  type EffectiveSettings,
  type MoonInfo,
  type NetworkInfo,
  type PeerInfo,
  type StatusInfo,
} from "../../../../cli/api/view.ts";
import { isObject, type Json, type JsonObject, parseJson } from "../../../../cli/engine/json.ts";
import { countVectors } from "../../../vectors/count.ts";
import { FakeService } from "./fake_service.ts";

type Entry = {
  name: string;
  node: string;
  request: {
    method: string;
    path: string;
    headers: Record<string, string> | null;
    body?: string | null;
  };
  response: { status: number; headers: Record<string, string>; json?: Json; text?: string };
};

const FILE = new URL("../../../vectors/service-api.json", import.meta.url);
const ENTRIES = (parseJson(Deno.readTextFileSync(FILE)) as unknown as { entries: Entry[] }).entries;
const OURS = ENTRIES.filter((entry) => !entry.request.path.includes("/controller"));
const TOKENS: Record<string, string> = {
  "<authtoken>": "a".repeat(24),
  "<metricstoken>": "m".repeat(24),
};

/** Marked as a quirk in the specification; answered alike on both families here. */
const DIFFERENT = new Map([["moon DELETE over IPv6 listener not routed", 200]]);

function entryNamed(name: string): Entry {
  const entry = ENTRIES.find((candidate) => candidate.name === name);
  assert.ok(entry, name);
  return entry;
}

const recorded = <T>(name: string) => entryNamed(name).response.json as T;

/** Takes a recorded status apart, so that our way of putting it together is what is tested. */
function statusFrom(json: StatusInfo, localConf: JsonObject): StatusInfo {
  const settings = json.config.settings as JsonObject;
  const effective: JsonObject = {};
  for (
    const key of [
      "allowTcpFallbackRelay",
      "forceTcpRelay",
      "homeDir",
      "listeningOn",
      "portMappingEnabled",
      "primaryPort",
      "secondaryPort",
      "tertiaryPort",
      "softwareUpdate",
      "softwareUpdateChannel",
      "surfaceAddresses",
    ]
  ) effective[key] = settings[key];
  return { ...json, config: effectiveConfig(localConf, effective as unknown as EffectiveSettings) };
}

const WEB_FILES: Record<string, string> = {
  "page.html": "<html>page</html>\n",
  "ui/index.html": "<html>idx</html>\n",
  "ui/f.txt": "x\n",
};

/** Changes that came from outside the API between two recorded requests. */
function happenBefore(entry: Entry, service: FakeService): void {
  switch (entry.name) {
    case "peer list":
      service.peerList = recorded<PeerInfo[]>("peer list");
      break;
    case "node a: network list joined": // authorized by the controller
      service.networkList = recorded<NetworkInfo[]>("node a: network list joined");
      break;
    case "node a: peer list":
      service.peerList = recorded<PeerInfo[]>(entry.name);
      break;
    case "node a: network list 4": {
      // Two joins went on by themselves meanwhile.
      const now = recorded<NetworkInfo[]>(entry.name);
      service.networkList = service.networkList.map((network) => {
        const later = now.find(({ id }) => id === network.id)!;
        return {
          ...network,
          ...later,
          allowDNS: network.allowDNS,
          allowManaged: network.allowManaged,
        };
      });
      break;
    }
    case "node a: moon list after":
      service.moonList = recorded<MoonInfo[]>(entry.name);
      break;
    case "node a: peers with moon":
      service.peerList = recorded<PeerInfo[]>(entry.name);
      break;
    case "bond show": // its ages are of the moment it was asked for
    case "peer with bond":
    case "peer list with bond": {
      const now = recorded<PeerInfo | PeerInfo[]>(entry.name);
      service.peerList = Array.isArray(now) ? now : [now];
      break;
    }
    case "metrics populated":
      service.metricsText = entry.response.text!;
      break;
  }
  const { json } = entry.response;
  if (entry.request.path.startsWith("/status")) {
    const status = isObject(json) ? json : statusOfJsonp(entry.response.text);
    if (status?.config) service.statusInfo = statusFrom(status as StatusInfo, service.localConf);
  } else if (isObject(json) && json.clock !== undefined) {
    service.statusInfo = { ...service.statusInfo, ...json } as StatusInfo;
  } else if (entry.name === "jsonp") {
    service.statusInfo.clock = (statusOfJsonp(entry.response.text) as StatusInfo).clock;
  }
}

function statusOfJsonp(text: string | undefined): JsonObject | undefined {
  const inner = /^cb\((.*)\);$/s.exec(text ?? "")?.[1];
  const value = inner === undefined ? undefined : parseJson(inner);
  return isObject(value) && value.clock !== undefined ? value : undefined;
}

function makeService(node: string): FakeService {
  switch (node[0]) {
    case "r":
      return new FakeService(recorded<StatusInfo>("status"));
    case "a":
      return new FakeService(recorded<StatusInfo>("node a: status"));
    default: {
      const service = new FakeService(recorded<StatusInfo>("local.conf: status"));
      if (node.includes("bonding")) {
        service.bonds = {
          show: (address) => {
            const peer = service.peer(address);
            return peer?.isBonded ? peer as unknown as JsonObject : undefined;
          },
          rotate: (address) => service.peer(address)?.isBonded ?? false,
          setMtu: () => "Unable to find specified link",
        };
      } else {
        service.localConf = recorded<JsonObject>("local.conf: config");
        service.webFile = (path) =>
          Object.hasOwn(WEB_FILES, path) ? new TextEncoder().encode(WEB_FILES[path]) : undefined;
      }
      return service;
    }
  }
}

function remoteOf(entry: Entry): string {
  if (/IPv6 l/.test(entry.name)) return "::1";
  return /^(from|metrics from) non-loopback|^allowManagementFrom/.test(entry.name)
    ? "::ffff:10.77.0.1"
    : "127.0.0.1";
}

function fill(text: string): string {
  return text.replace(/<(auth|metrics)token>/g, (marker) => TOKENS[marker]);
}

async function replay(entry: Entry, service: FakeService) {
  const [path, query = ""] = fill(entry.request.path).split("?");
  const headers = Object.fromEntries(
    Object.entries(entry.request.headers ?? {}).map((
      [name, value],
    ) => [name.toLowerCase(), fill(value)]),
  );
  const managers = entry.node.includes("rich local.conf") ? [parsePrefix("10.77.0.0/24")!] : [];
  const response = await answer(
    {
      method: entry.request.method,
      path,
      query: new URLSearchParams(query),
      headers,
      remote: remoteOf(entry),
      body: entry.request.body ?? "",
      signal: new AbortController().signal,
    },
    service,
    {
      authToken: TOKENS["<authtoken>"],
      metricsToken: TOKENS["<metricstoken>"],
      allowManagementFrom: () => managers,
    },
  );
  const text = typeof response.body === "string"
    ? response.body
    : new TextDecoder().decode(response.body);
  const names = Object.entries(headersOf(response)).map((
    [name, value],
  ) => [name.toLowerCase(), value]);
  return { status: response.status, headers: Object.fromEntries(names), text };
}

function check(entry: Entry, got: Awaited<ReturnType<typeof replay>>): void {
  const wanted = entry.response;
  assert.equal(got.status, wanted.status, entry.name);
  // Home folders were renamed in the recording after their lengths had been counted.
  const renamed = /\/lab\//.test(got.text);
  const lengthBytes = String(new TextEncoder().encode(got.text).length);
  const length = renamed ? { "content-length": lengthBytes } : {};
  assert.deepEqual(got.headers, { ...wanted.headers, ...length }, entry.name);
  if (wanted.json !== undefined) {
    assert.deepEqual(parseJson(got.text), wanted.json, entry.name);
  } else if (entry.request.method !== "HEAD") {
    assert.equal(got.text, wanted.text, entry.name);
  }
}

Deno.test("answer() answers every recorded request as the reference did, headers and lengths included", async () => {
  const services = new Map<string, FakeService>();
  let checked = 0;
  for (const entry of OURS) {
    const node = entry.node.startsWith("a") ? "a" : entry.node;
    const service = services.get(node) ?? makeService(node);
    services.set(node, service);
    happenBefore(entry, service);
    const got = await replay(entry, service);
    const different = DIFFERENT.get(entry.name);
    if (different === undefined) check(entry, got);
    else assert.equal(got.status, different, entry.name);
    checked++;
  }
  assert.equal(checked, OURS.length);
  assert.deepEqual(services.get("a")!.log, [
    "orbit ae2ded7b88 ae2ded7b88",
    "orbit ae2ded7b88 ae2ded7b88",
  ]);
  countVectors("service-api.json: everything but the controller", checked);
});

Deno.test("answer() guards and wraps the controller's answers as the reference does", async () => {
  const service = makeService("root");
  const named = ["controller status", "controller no auth", "controller jsonp"].map(entryNamed);
  for (const entry of named) {
    const body = entry.response.json ?? parseJson(/^cb\((.*)\);$/s.exec(entry.response.text!)![1]);
    service.controllerAnswer = { status: 200, json: body, pretty: true };
    const got = await replay(entry, service);
    check(entry, got);
  }
  assert.deepEqual(service.controllerCalls, ["GET /controller", "GET /controller"]);
  countVectors("service-api.json: guarding the controller", named.length);
});
