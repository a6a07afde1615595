/** A controller, its store and its API calls together, as a service runs them. @module */
import assert from "node:assert/strict";
import { controllerAnswer, ControllerCalls } from "../../../../cli/engine/controller_calls.ts";
import { answer } from "../../../../cli/api/routes.ts";
import type { StatusInfo } from "../../../../cli/api/view.ts";
import { MemoryStore, SharedRecords } from "../../../../cli/storage/memory.ts";
import { StorePump } from "../../../../cli/storage/store_pump.ts";
import { SystemError } from "../../../../lib/base/errors.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { Controller } from "../../../../lib/controller/controller.ts";
import type { JsonObject } from "../../../../lib/controller/json.ts";
import type { ControllerInput } from "../../../../lib/controller/machine.ts";
import type { ControllerStore, StoreResult } from "../../../../lib/controller/store.ts";
import { FakeService } from "../api/fake_service.ts";
import { CONTROLLER, identityOf, seededRandom } from "../../lib/controller/harness.ts";

/** What an engine does with a controller. */
class Service {
  readonly controller = new Controller({
    identity: identityOf(CONTROLLER),
    primitives: noblePrimitives,
    random: seededRandom(3),
  });
  readonly calls = new ControllerCalls((input) => this.hand(input));
  readonly errors: Error[] = [];
  readonly pump: StorePump;

  constructor(store: ControllerStore) {
    this.pump = new StorePump(
      store,
      (input) => this.hand(input),
      (error) => this.errors.push(error),
    );
  }

  hand(input: ControllerInput): void {
    this.controller.handle(input, { nowMs: 1_000, wallMs: 2_000 });
    for (let action; (action = this.controller.poll());) {
      if (action.kind === "store") this.pump.perform(action);
      if (action.kind === "apiReply") this.calls.settle(action);
    }
  }
}

const PATH = "/controller/network/7d6fc6c76500beef";

Deno.test("ControllerCalls.call() answers once the record is stored, and a new service finds it", async () => {
  const shared = new SharedRecords();
  const service = new Service(new MemoryStore(shared));
  await service.pump.start();
  const posted = await service.calls.call("PUT", PATH, '{"name":"lab"}');
  assert.equal(posted.status, 200);
  assert.equal(shared.networks.size, 1);
  const next = new Service(new MemoryStore(shared));
  await next.pump.start();
  assert.deepEqual(await next.calls.call("GET", PATH, ""), posted);
});

Deno.test("ControllerCalls.call() loses none of many updates made at once", async () => {
  const service = new Service(new MemoryStore());
  await service.pump.start();
  await service.calls.call("POST", PATH, "{}");
  const bodies = Array.from({ length: 40 }, (_, i) => ({ [i % 2 ? "mtu" : "name"]: 1_300 + i }));
  const replies = await Promise.all(
    bodies.map((body) => service.calls.call("POST", PATH, JSON.stringify(body))),
  );
  const revisions = replies.map(({ json }) => (json as JsonObject).revision);
  assert.deepEqual(revisions, bodies.map((_, i) => i + 2));
  const { name, mtu } = (await service.calls.call("GET", PATH, "")).json as JsonObject;
  assert.deepEqual([name, mtu], ["1338", 1_339]);
});

Deno.test("StorePump brings changes of one service to another, and both may write", async () => {
  const shared = new SharedRecords();
  const [first, second] = [new MemoryStore(shared), new MemoryStore(shared)].map((store) =>
    new Service(store)
  );
  await Promise.all([first.pump.start(), second.pump.start()]);
  await first.calls.call("POST", PATH, '{"name":"one"}');
  const { json } = await second.calls.call("POST", PATH, '{"mtu":1300}');
  assert.deepEqual([(json as JsonObject).name, (json as JsonObject).revision], ["one", 2]);
  const both = await Promise.all([
    first.calls.call("POST", PATH, '{"name":"two"}'),
    second.calls.call("POST", PATH, '{"mtu":1400}'),
  ]);
  assert.deepEqual(both.map(({ status }) => status), [200, 200]);
  for (const { calls } of [first, second]) {
    const { name, mtu, revision } = (await calls.call("GET", PATH, "")).json as JsonObject;
    assert.deepEqual([name, mtu, revision], ["two", 1_400, 4]);
  }
});

Deno.test("StorePump reports a write that failed to the caller and to the log", async () => {
  class FullStore extends MemoryStore {
    override write(): Promise<StoreResult> {
      return Promise.reject(new SystemError("write x", "ENOSPC", "free some disk space"));
    }
  }
  const service = new Service(new FullStore());
  await service.pump.start();
  const reply = await service.calls.call("POST", PATH, "{}");
  assert.equal(reply.status, 500);
  assert.match(String((reply.json as JsonObject).description), /ENOSPC/);
  assert.equal(service.errors.length, 1);
  assert.equal((await service.calls.call("GET", PATH, "")).status, 404);
});

Deno.test("ControllerCalls.close() ends the calls that still wait, and too many at once are refused", async () => {
  const calls = new ControllerCalls(() => {});
  const waiting = Array.from({ length: 4_096 }, () => calls.call("GET", "/controller", ""));
  assert.equal((await calls.call("GET", "/controller", "")).status, 503);
  calls.close();
  for (const { status } of await Promise.all(waiting)) assert.equal(status, 503);
  assert.equal((await calls.call("GET", "/controller", "")).status, 503, "and who comes later");
});

Deno.test("controllerAnswer() keeps the order of keys and the tabs of GET /controller, as recorded", async () => {
  const service = new Service(new MemoryStore());
  await service.pump.start();
  const status = controllerAnswer(await service.calls.call("GET", "/controller", ""));
  assert.equal(status.pretty, true);
  const view = new FakeService({ address: "19810bb6a3" } as StatusInfo);
  view.controllerAnswer = status;
  const response = await answer(
    {
      method: "GET",
      path: "/controller",
      query: new URLSearchParams(),
      headers: { "x-zt1-auth": "t" },
      remote: "127.0.0.1",
      body: "",
      signal: new AbortController().signal,
    },
    view,
    { authToken: "t", metricsToken: "m", allowManagementFrom: () => [] },
  );
  assert.equal(
    response.body,
    '{\n\t"controller": true,\n\t"apiVersion": 4,\n\t"clock": 2000,\n\t"databaseReady": true\n}\n',
  );
  const lists = controllerAnswer(await service.calls.call("GET", "/controller/network", ""));
  assert.ok(!lists.pretty);
});
