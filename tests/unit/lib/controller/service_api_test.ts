/**
 * Replays what was recorded at a reference controller, entry by entry, against an empty one of ours.
 * @module
 */
import assert from "node:assert/strict";
import type { JsonObject, JsonValue } from "../../../../lib/controller/json.ts";
import { Identity } from "../../../../lib/identity/identity.ts";
import { countVectors } from "../../../vectors/count.ts";
import { Harness } from "./harness.ts";

interface Entry {
  name: string;
  node: string;
  request: { method: string; path: string; headers?: Record<string, string>; body?: string };
  response: { status: number; headers: Record<string, string>; json?: JsonValue; text?: string };
}

const VECTORS: { entries: Entry[] } = JSON.parse(
  Deno.readTextFileSync(new URL("../../../vectors/service-api.json", import.meta.url)),
);
const ENTRIES = VECTORS.entries.filter(({ node }) => node === "root (controller)");
/** The rest of what the recorded node answered belongs to the API layer and is checked there. */
const isController = ({ request }: Entry) => /^(\/unstable)?\/controller/.test(request.path);
/** Answered before the controller is asked. */
const AUTH_ENTRY = "controller no auth";

/** Where we answer otherwise, on purpose: the entry as we answer it. */
const DEVIATIONS: Record<string, (json: JsonObject) => void> = {
  // Negatives are 0, not 2^64 - 1 (spec 05 section 7.1).
  "mtu negative": (json) => json.multicastLimit = 0,
  // "1.2.3" is no address, not 0.0.0.0 (spec 05 section 8.1).
  "member set all": (json) => json.ipAssignments = ["10.147.17.200", "fd00:1::9", "10.147.17.201"],
  // As above; and a remote trace level that is not posted is kept (spec 05 section 7.3).
  "member wrong types": keptLevel,
  "member array body": keptLevel,
};

function keptLevel(json: JsonObject): void {
  json.ipAssignments = ["10.147.17.200", "fd00:1::9", "10.147.17.201"];
  json.remoteTraceLevel = 1;
}

const NODES: Record<string, Identity> = Object.fromEntries(
  VECTORS.entries.flatMap(({ response }) => {
    const text = JSON.stringify(response.json ?? "");
    return [...text.matchAll(/"identity":"([0-9a-f]{10}):0:([0-9a-f]{128})"/g)];
  }).map((match) => [match[1], Identity.parse(`${match[1]}:0:${match[2]}`)]),
);

/** What happened on the recorded network between two entries. */
const BEFORE: Record<string, (harness: Harness) => void> = {
  "lab member after config": (harness) => {
    harness.request("7d6fc6c76500beef", NODES["19810bb6a3"]);
    harness.request("7d6fc6c76500beef", NODES.cab3262c6a);
    harness.post("/controller/network/7d6fc6c76500beef/member/cab3262c6a", { authorized: true });
    harness.request("7d6fc6c76500beef", NODES.cab3262c6a);
  },
  "public network: auto-created member": (harness) => {
    harness.request("7d6fc6c76500cafe", NODES.cab3262c6a);
  },
  "post with form content type": (harness) => {
    harness.post("/controller/network/7d6fc6c76500beef", { name: "between" });
  },
};

/** Times and, in order of appearance, random network ids; member ids are lower case with us. */
class Mask {
  readonly #ids = new Map<string, string>();

  mask(value: JsonValue, name = ""): JsonValue {
    if (/^(clock|creationTime|last\w*Time)$/.test(name)) return value === 0 ? 0 : "<time>";
    if (typeof value === "string") return this.#maskText(value);
    if (Array.isArray(value)) return this.#maskArray(value);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [this.#maskText(key), this.mask(item, key)]),
    );
  }

  #maskArray(items: JsonValue[]): JsonValue {
    const masked = items.map((item) => this.mask(item));
    const isListing = items.some((item) =>
      typeof item === "object" && item !== null && "objtype" in item
    );
    const isIdList = items.every((item) => typeof item === "string" && item.length === 16);
    return isListing || isIdList ? sortJson(masked) : masked;
  }

  #maskText(text: string): string {
    return this.#ids.get(text) ?? (/^[0-9A-F]{10}$/.test(text) ? text.toLowerCase() : text);
  }

  /** Two texts that stand for the same network from now on. */
  same(id: string): void {
    if (!this.#ids.has(id)) this.#ids.set(id, `<network ${this.#ids.size + 1}>`);
  }
}

function sortJson(items: JsonValue[]): JsonValue[] {
  return items.sort((a, b) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
}

Deno.test("Controller.handle() answers every recorded API request as the reference did", () => {
  const harness = new Harness();
  const [ours, theirs] = [new Mask(), new Mask()];
  let checked = 0;
  for (const entry of ENTRIES.filter(isController)) {
    if (entry.name === AUTH_ENTRY) {
      assert.equal(entry.response.status, 401);
      continue;
    }
    BEFORE[entry.name]?.(harness);
    const { request, response } = entry;
    const [path] = request.path.split("?");
    const ticket = harness.begin(request.method, path, request.body ?? "");
    const reply = harness.reply(ticket);
    assert.ok(reply, entry.name);
    assert.equal(reply.status, response.status, entry.name);
    checkBody(entry, reply, { ours, theirs });
    checked++;
  }
  assert.equal(checked, ENTRIES.filter(isController).length - 1);
  countVectors("service-api.json: controller", checked);
});

function checkBody(
  entry: Entry,
  reply: { json: JsonValue | undefined; pretty?: boolean },
  masks: { ours: Mask; theirs: Mask },
): void {
  const { response, name } = entry;
  if (reply.json === undefined) {
    assert.equal(response.text, "", name);
    assert.equal(response.headers["content-type"], undefined, name);
  } else if (response.json === undefined) {
    checkText(entry, reply);
  } else {
    const expected = structuredClone(response.json);
    DEVIATIONS[name]?.(expected as JsonObject);
    if (name.startsWith("network create")) {
      masks.ours.same((reply.json as JsonObject).id as string);
      masks.theirs.same((expected as JsonObject).id as string);
    }
    assert.deepEqual(masks.ours.mask(reply.json), masks.theirs.mask(expected), name);
  }
}

/** Bodies recorded as text: JSONP, and JSON the reference did not escape. */
function checkText(entry: Entry, reply: { json: JsonValue | undefined; pretty?: boolean }): void {
  if (entry.request.path.endsWith("?jsonp=cb")) {
    assert.equal(reply.pretty, true);
    const body = `cb(${JSON.stringify(reply.json, null, "\t")}\n);`;
    assert.equal(
      body.replace(/\d{13}/, "<time>"),
      entry.response.text!.replace(/\d{13}/, "<time>"),
    );
    return;
  }
  const { error, description } = reply.json as JsonObject;
  assert.equal(`{"error": ${error}, "description": "${description}"}`, entry.response.text);
}
