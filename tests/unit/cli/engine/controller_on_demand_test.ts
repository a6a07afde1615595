import { DatabaseSync } from "node:sqlite";
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { ControllerOnDemand } from "../../../../cli/engine/controller_on_demand.ts";
import { Home } from "../../../../cli/engine/home.ts";
import { openSqliteStore } from "../../../../cli/storage/sqlite.ts";
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
    equal(await made.open(), undefined);
    deepEqual(stand.ask(), [REFUSAL]);
  },
);

onDemandTest(
  "ControllerOnDemand answers nobody more often than a controller does",
  async (stand) => {
    const countOf = () => Array.from({ length: 50 }, () => stand.ask()).flat().length;
    const without = countOf();
    ok(without > 0 && without < 10);
    equal(await stand.made.open(), undefined);
    equal(countOf(), without);
  },
);

onDemandTest("ControllerOnDemand answers nobody while it opens its records", async (stand) => {
  const opened = stand.made.open();
  deepEqual(stand.ask(), []);
  equal(await opened, undefined);
});

onDemandTest("ControllerOnDemand.open() opens once, however many ask", async (stand) => {
  const { made } = stand;
  const opened = made.open();
  deepEqual(await Promise.all([opened, made.open()]), [undefined, undefined]);
  const { current } = made;
  equal(await made.open(), undefined);
  ok(current);
  equal(made.current, current);
  ok(made.hasRecords, "the next start opens them at once");
});

onDemandTest(
  "ControllerOnDemand.open() may be asked again when there was nothing to lose",
  async (stand) => {
    const { made, home, log } = stand;
    Deno.writeTextFileSync(home.path, "in the way");
    match(await made.open() ?? "", /cannot make the home folder/);
    equal(made.current, undefined);
    ok(log.at(-1)!.endsWith("this node is no controller until then"), log.join("\n"));
    Deno.removeSync(home.path);
    equal(await made.open(), undefined);
  },
);

/** Records of which one cannot be read. */
async function breakRecords(home: Home): Promise<void> {
  home.create();
  const path = home.pathOf("controller.sqlite");
  await openSqliteStore(path).close();
  const database = new DatabaseSync(path);
  database.exec("INSERT INTO network (id, revision, record) VALUES ('7d6fc6c76500beef', 1, '{')");
  database.close();
}

onDemandTest(
  "ControllerOnDemand takes no empty database for records it cannot read",
  async (stand) => {
    await breakRecords(stand.home);
    const { made, log } = stand;
    match(await made.open() ?? "", /damaged/);
    equal(log.length, 1);
    match(await made.open() ?? "", /damaged/, "not before the next start");
    ok(!stand.home.has("controller.sqlite"));
    deepEqual(stand.ask(), [{ ...REFUSAL, code: ErrorCode.UNSUPPORTED_OPERATION }]);
  },
);

onDemandTest("ControllerOnDemand.open() opens nothing once closed", async (stand) => {
  const opened = stand.made.open();
  await stand.made.close();
  equal(await opened, undefined, "what was under way is closed with it");
  equal(await stand.made.open(), "it stops");
  await openSqliteStore(stand.home.pathOf("controller.sqlite")).close(); // nobody holds it
});
