/**
 * `deno task bench --root`: what a root carries. A real `zt` root in a namespace; beside it a host
 * that speaks as many nodes would, from an address each.
 *
 * The crowd's identities have no proof of work: the root finds them in its cache of peers, as after a restart. New
 * identities are genuine, few, and measured apart. Processor time is the root's own, of all its threads.
 * @module
 */
import { parseArgs } from "node:util";
import { Verb } from "../../lib/wire/packet.ts";
import { Identity } from "../../lib/identity/identity.ts";
import { parseEndpoint } from "../../lib/base/ip.ts";
import type { Asked } from "./load/asking.ts";
import { Crowd } from "./load/crowd.ts";
import { makeIdentities } from "./load/identities.ts";
import { LoadStage } from "./load/stage.ts";
import { type Line, renderLines } from "./load/lines.ts";
import { busyPercent } from "./process.ts";
import { short } from "./table.ts";

const NODES = 100_000;
const NEWCOMERS = 150;
const FOREIGN_MS = 2_000;
const SETTLE_MS = 20_000; // after start: the memory that only starting takes is given back by then
const FORGET_MS = 35_000; // housekeeping forgets what was probed
const STORM_MS = 8_000;
const STORM_WINDOW = 512; // questions without an answer: enough to keep the root busy, too few to fill a queue
const RETRY_MS = 1_000; // a node without an answer asks again
const RETURN_MS = 180_000;
const IDLE_MS = 20_000;
const KEEPALIVE_MS = 20_000; // `UPSTREAM_KEEPALIVE_MS` in lib/node/liveness.ts
const TALK_MS = 4_000;
const PACKET_BYTES = 500;
const MANY_FLOWS = 1_000;

class RootBench {
  readonly lines: Line[] = [];
  readonly crowd: Crowd;

  constructor(readonly stage: LoadStage, readonly count: number) {
    const { victim, at } = stage.root.target;
    this.crowd = new Crowd(count, Identity.parse(victim), parseEndpoint(at)!);
  }

  async run(): Promise<void> {
    const foreign = await busyPercent(FOREIGN_MS);
    this.#add("foreignPercent", "other programs keep the machine busy", foreign, "%");
    await this.#newcomers();
    await this.stage.root.stop();
    this.stage.root.remember(this.count, (i) => this.crowd.identity(i));
    await this.stage.root.start();
    await sleep(SETTLE_MS);
    const emptyMb = this.stage.root.residentMb;
    this.#add("emptyMb", "RSS, a root nobody knows", emptyMb, "MB");
    await this.#all("first");
    await sleep(FORGET_MS);
    const fullMb = this.stage.root.residentMb;
    this.#add("fullMb", `RSS with ${this.count} peers`, fullMb, "MB");
    this.#add("peerBytes", "of which a peer", (fullMb - emptyMb) * 1e6 / this.count, "B");
    await this.#storm("hello", "HELLO of known nodes", Verb.HELLO);
    await this.#storm("echo", "ECHO of known nodes", Verb.ECHO);
    await this.#idle();
    for (const flows of [1, MANY_FLOWS]) await this.#talk(flows);
    this.#add("loadedMb", "RSS after all that", this.stage.root.residentMb, "MB");
    this.#add("stopMs", "orderly end", await this.stage.root.stop(), "ms");
    this.#add("startMs", "start until its API answers", await this.stage.root.start(), "ms");
    await this.#all("return");
  }

  #add(name: string, title: string, value: number, unit: string): void {
    this.lines.push({ name, title, value, unit });
    console.error(`${title}: ${short(value)} ${unit}`);
  }

  /** Runs a task and says what the root spent on it. */
  async #cost<Out>(task: Promise<{ run(patienceMs: number): Promise<Out> }>) {
    const ready = await task;
    const beforeMs = this.stage.root.cpuMs;
    const out = await ready.run(RETURN_MS + 30_000);
    return { out, cpuMs: this.stage.root.cpuMs - beforeMs };
  }

  async #newcomers(): Promise<void> {
    const identities = await makeIdentities(NEWCOMERS);
    await this.stage.root.start();
    const asking = { verb: Verb.HELLO, total: NEWCOMERS, window: NEWCOMERS, retryMs: RETRY_MS };
    const task = { ...this.stage.root.target, identities, ...asking, timeMs: RETURN_MS };
    const { out, cpuMs } = await this.#cost(this.stage.load("newcomersAsk", task));
    this.#add("newPerSecond", "HELLO of new identities", perSecond(out), "/s");
    this.#add("newCpuMs", "processor time of each", cpuMs / out.answers, "ms");
  }

  /** Everybody says HELLO at the same moment, and again each second until answered. */
  async #all(when: "first" | "return"): Promise<void> {
    const { count } = this;
    const asking = { verb: Verb.HELLO, total: count, window: count, retryMs: RETRY_MS };
    const task = { ...this.stage.root.target, count, ...asking, timeMs: RETURN_MS };
    const { out, cpuMs } = await this.#cost(this.stage.load("crowdAsks", task));
    if (when === "first") return;
    const missing = count - out.answers;
    if (missing > 0) this.#add("missing", "nodes that never came back", missing, "");
    const what = `${count} nodes at once, until`;
    this.#add("returnHalfMs", `${what} half are back`, out.halfMs ?? NaN, "ms");
    this.#add("returnAllMs", `${what} all are back`, out.allMs ?? NaN, "ms");
    this.#add("returnCpuUs", "processor time of each", cpuMs * 1_000 / out.answers, "us");
  }

  async #storm(name: string, title: string, verb: typeof Verb.HELLO | typeof Verb.ECHO) {
    const asking = { verb, total: 1e9, window: STORM_WINDOW, retryMs: RETRY_MS, timeMs: STORM_MS };
    const task = { ...this.stage.root.target, count: this.count, ...asking };
    const { out, cpuMs } = await this.#cost(this.stage.load("crowdAsks", task));
    this.#add(`${name}PerSecond`, title, perSecond(out), "/s");
    this.#add(`${name}CpuUs`, "processor time of each", cpuMs * 1_000 / out.answers, "us");
  }

  async #idle(): Promise<void> {
    const { count } = this;
    const task = { ...this.stage.root.target, count, everyMs: KEEPALIVE_MS, timeMs: IDLE_MS };
    const { out, cpuMs } = await this.#cost(this.stage.load("crowdIdles", task));
    this.#add("idlePercent", `${count} idle nodes, of one core`, 100 * cpuMs / IDLE_MS, "%");
    this.#add("idleAnswered", "questions answered", 100 * out.answers / out.asked, "%");
  }

  async #talk(flows: number): Promise<void> {
    const task = { flows, lengthBytes: PACKET_BYTES, timeMs: TALK_MS };
    const load = this.stage.load("crowdTalks", { ...this.stage.root.target, ...task });
    const { out, cpuMs } = await this.#cost(load);
    const title = `relayed, ${flows} ${flows === 1 ? "flow" : "flows"} of ${PACKET_BYTES} B`;
    this.#add(`relay${flows}Kpps`, title, out.received / out.timeMs, "kpkt/s");
    this.#add(`relay${flows}CpuUs`, "processor time of each", cpuMs * 1_000 / out.received, "us");
  }
}

function perSecond({ answers, timeMs }: Asked): number {
  return answers * 1_000 / timeMs;
}

function sleep(timeMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, timeMs));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      root: { type: "boolean" },
      nodes: { type: "string", default: `${NODES}` },
      json: { type: "boolean" },
    },
  });
  const count = Number(values.nodes);
  const folder = Deno.makeTempDirSync({ prefix: "zt-bench-" });
  const stage = new LoadStage(folder);
  const bench = new RootBench(stage, count);
  try {
    await bench.run();
  } finally {
    await stage.lab.end();
    await Deno.remove(folder, { recursive: true });
  }
  if (values.json) console.log(JSON.stringify({ nodes: count, figures: bench.lines }, null, 1));
  else console.log(`\n${renderLines(bench.lines)}`);
}
