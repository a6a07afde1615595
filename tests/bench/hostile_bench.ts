/**
 * `deno task bench --hostile`: ten thousand packets a second of somebody's choice at a real `zt`,
 * on a real clock: at a root and at a mere node, by strangers and by a peer whose identity and
 * address are proved. What honest nodes see of it, and what it costs; issue 4 item 9 says what is
 * demanded. It exits with 1 when something is missed.
 * @module
 */
import { parseArgs } from "node:util";
import { percentile } from "../../cli/engine/demo/measure.ts";
import { makeIdentities } from "./load/identities.ts";
import { isMet, type Line, renderLines } from "./load/lines.ts";
import { LoadStage, type Victim } from "./load/stage.ts";
import { busyPercent } from "./process.ts";
import { short } from "./table.ts";

const PER_SECOND = 10_000;
const SECONDS = 10;
const NEWCOMERS = 4; // of each run
const NEWCOMER_EVERY_MS = 2_000;
const NEWCOMER_PATIENCE_MS = 6_000;
const HONEST = 5; // nodes that say ECHO: 60 answers to one would make its p99 the worst of all
const ECHO_EVERY_MS = 200; // a node answers six ECHOs a second of one address
const SETTLE_MS = 22_000; // after start: the memory that only starting takes is given back by then
const CALM_MS = 2_000; // between two floods
const MEMORY_SAMPLE_MS = 100;
const MOST = { echoMs: 100, newcomerMs: 2_000, growthMb: 32, excessBytes: 0 };
const PORTS = { flood: 9_993, honest: 9_994, newcomers: 9_995 };

type Attack = "strangersFlood" | "peerFloods";

class HostileBench {
  readonly lines: Line[] = [];

  constructor(
    readonly stage: LoadStage,
    readonly timeMs: number,
    readonly only: RegExp,
    readonly identities: string[],
  ) {}

  async run(): Promise<void> {
    const foreign = await busyPercent(CALM_MS);
    this.#add("foreignPercent", "other programs keep the machine busy", foreign, "%");
    await this.stage.root.start();
    await this.stage.leaf.start();
    await this.stage.leaf.service.online();
    await sleep(SETTLE_MS);
    for (const [who, victim] of [["root", this.stage.root], ["node", this.stage.leaf]] as const) {
      for (const attack of ["strangersFlood", "peerFloods"] as const) {
        if (!this.only.test(`${who}-${attack}`)) continue;
        await this.#attack(who, victim, attack);
        await sleep(CALM_MS);
      }
    }
  }

  #add(name: string, title: string, value: number, unit: string, most?: number): void {
    const line = { name, title, value, unit, most };
    this.lines.push(line);
    console.error(`${title}: ${short(value)} ${unit}${isMet(line) ? "" : ` MISSED, ${most}`}`);
  }

  async #attack(who: string, victim: Victim, attack: Attack): Promise<void> {
    const { target } = victim;
    const { timeMs } = this;
    const take = () => this.identities.pop()!;
    const [flood, honest, coming] = await Promise.all([
      this.stage.load(attack, {
        ...target,
        port: PORTS.flood,
        identity: take(),
        perSecond: PER_SECOND,
        timeMs,
      }),
      this.stage.load("honestEchoes", {
        ...target,
        port: PORTS.honest,
        identities: Array.from({ length: HONEST }, take),
        everyMs: ECHO_EVERY_MS,
        timeMs: timeMs + CALM_MS,
      }),
      this.stage.load("newcomersCome", {
        ...target,
        port: PORTS.newcomers,
        identities: Array.from({ length: NEWCOMERS }, take),
        everyMs: NEWCOMER_EVERY_MS,
        patienceMs: NEWCOMER_PATIENCE_MS,
      }),
    ]);
    // A newcomer has a Worker started that checks proofs of work, flood or not: that is no growth.
    const echoing = honest.run();
    await sleep(CALM_MS);
    const beforeRssMb = victim.residentMb;
    const beforeMb = victim.anonymousMb;
    const beforeMs = victim.cpuMs;
    let mostMb = beforeMb;
    const timer = setInterval(
      () => mostMb = Math.max(mostMb, victim.anonymousMb),
      MEMORY_SAMPLE_MS,
    );
    const [flooded, { rttsMs, lost }, tookMs] = await Promise.all([
      flood.run(),
      echoing,
      sleep(CALM_MS / 4).then(() => coming.run()),
    ]).finally(() => clearInterval(timer));
    const cpuMs = victim.cpuMs - beforeMs;
    const by = attack === "strangersFlood" ? "strangers" : "a peer";
    const title = (what: string) => `${who}, by ${by}: ${what}`;
    const name = (what: string) => `${who}-${attack}-${what}`;
    this.#add(name("offered"), title("packets offered"), flooded.sent / timeMs, "kpkt/s");
    const [p50, p99] = [0.5, 0.99].map((share) => percentile(rttsMs, share) ?? NaN);
    this.#add(name("echoP50Ms"), title("ECHO p50"), p50, "ms");
    this.#add(name("echoP99Ms"), title("ECHO p99"), p99, "ms", MOST.echoMs);
    this.#add(name("echoLost"), title("ECHO lost"), 100 * lost / rttsMs.length, "%");
    this.#add(
      name("newcomerMs"),
      title(`slowest of ${NEWCOMERS} newcomers`),
      Math.max(...tookMs),
      "ms",
      MOST.newcomerMs,
    );
    this.#add(name("growthMb"), title("memory grew"), mostMb - beforeMb, "MB", MOST.growthMb);
    const rssMb = victim.residentMb - beforeRssMb;
    this.#add(name("rssMb"), title("RSS grew, program file included"), rssMb, "MB");
    if (attack === "strangersFlood") {
      const { excessBytes } = flooded;
      const what = title("most beyond what came from an address");
      this.#add(name("excessBytes"), what, excessBytes, "B", MOST.excessBytes);
    }
    const percent = 100 * flooded.bytesIn / flooded.bytesOut;
    this.#add(name("answered"), title("bytes sent back"), percent, "%");
    this.#add(name("cpuPercent"), title("of one core"), 100 * cpuMs / timeMs, "%");
  }
}

function sleep(timeMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, timeMs));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      hostile: { type: "boolean" },
      seconds: { type: "string", default: `${SECONDS}` },
      only: { type: "string", default: "" },
      json: { type: "boolean" },
    },
  });
  const identities = await makeIdentities(4 * (1 + HONEST + NEWCOMERS));
  const folder = Deno.makeTempDirSync({ prefix: "zt-bench-" });
  const stage = new LoadStage(folder);
  const only = new RegExp(values.only);
  const bench = new HostileBench(stage, Number(values.seconds) * 1_000, only, identities);
  try {
    await bench.run();
  } finally {
    await stage.lab.end();
    await Deno.remove(folder, { recursive: true });
  }
  if (values.json) console.log(JSON.stringify({ figures: bench.lines }, null, 1));
  else console.log(`\n${renderLines(bench.lines)}`);
  Deno.exit(bench.lines.every(isMet) ? 0 : 1);
}
