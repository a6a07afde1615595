import { deepEqual, equal, ok } from "node:assert/strict";
import { ControllerOnDemand } from "../../../../cli/engine/controller_on_demand.ts";
import { Home } from "../../../../cli/engine/home.ts";
import { parseNetworkId } from "../../../../lib/base/ids.ts";
import type { ControllerAction } from "../../../../lib/controller/mod.ts";
import { ErrorCode } from "../../../../lib/wire/packet.ts";
import { CONTROLLER, identityOf, seededRandom, strangerOf } from "../../lib/controller/harness.ts";

const TIME = { nowMs: 1_000, wallMs: 2_000 };
const NETWORK = parseNetworkId("7d6fc6c76500beef")!;
const MEMBER = strangerOf(1);
const REQUEST = {
  kind: "request",
  network: NETWORK,
  from: MEMBER,
  requestId: 5n,
  metadata: new Uint8Array(),
} as const;
const REFUSAL = {
  kind: "refuse",
  to: MEMBER.address,
  network: NETWORK,
  requestId: 5n,
  code: ErrorCode.OBJECT_NOT_FOUND,
};

class Stand {
  readonly folder = Deno.makeTempDirSync();
  readonly home = new Home(`${this.folder}/home`);
  readonly log: string[] = [];
  readonly made: ControllerOnDemand = new ControllerOnDemand({
    home: this.home,
    identity: identityOf(CONTROLLER),
    random: seededRandom(3),
    path: undefined,
    hand: (input) => this.made.handle(input, TIME),
    log: (line) => this.log.push(line),
  });

  /** What it answers to a request for a network of ours. */
  ask(): ControllerAction[] {
    this.made.handle(REQUEST, TIME);
    return [...new Array(5)].flatMap(() => this.made.poll() ?? []);
  }

  async end(): Promise<void> {
    await this.made.close();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

function onDemandTest(name: string, fn: (stand: Stand) => Promise<void>): void {
  Deno.test(name, async () => {
    const stand = new Stand();
    try {
      await fn(stand);
    } finally {
      await stand.end();
    }
  });
}

onDemandTest(
  "ControllerOnDemand refuses without records as with them, and makes none",
  async (stand) => {
    const { made, home } = stand;
    equal(made.hasRecords, false);
    deepEqual(stand.ask(), [REFUSAL]);
    equal(made.deadlineMs, Infinity);
    ok(!home.has("controller.sqlite"));
    ok(await made.open());
    deepEqual(stand.ask(), [REFUSAL]);
  },
);

onDemandTest("ControllerOnDemand.open() opens once, however many ask", async (stand) => {
  const { made } = stand;
  const opened = made.open();
  deepEqual(await Promise.all([opened, made.open()]), [true, true]);
  const { current } = made;
  ok(current && await made.open());
  equal(made.current, current);
  ok(made.hasRecords, "the next start opens them at once");
});

onDemandTest(
  "ControllerOnDemand.open() says why it cannot, and may be asked again",
  async (stand) => {
    const { made, home, log } = stand;
    home.create();
    Deno.mkdirSync(home.pathOf("controller.sqlite"));
    equal(await made.open(), false);
    equal(made.current, undefined);
    ok(log.at(-1)!.endsWith("this node is no controller until then"), log.join("\n"));
    Deno.removeSync(home.pathOf("controller.sqlite"));
    ok(await made.open());
  },
);
