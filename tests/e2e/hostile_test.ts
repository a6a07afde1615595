/**
 * Floods at a real root and a real node: honest nodes are served, a newcomer gets in, and nobody is
 * sent more than came from them. How fast all that goes is measured by `deno task bench --hostile`.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { LoadStage, type Victim } from "../bench/load/stage.ts";
import type { IdentityVectors } from "../vectors/identity.ts";
import { loadVectors } from "../vectors/load.ts";
import { endToEndTest, FOLDER } from "./stage.ts";

const FLOOD_MS = 3_000;
const PER_SECOND = 3_000;
const PATIENCE_MS = 10_000; // of newcomers: of a machine that does other things at the same time
const PORTS = { flood: 9_993, honest: 9_994, newcomer: 9_995 };

const secrets = loadVectors<IdentityVectors>("identity.json").identities
  .filter((one) => one.locally_valid).map(({ secret }) => secret).slice(2); // the first two are the victims'

/** Both floods at one victim. */
async function endure(stage: LoadStage, victim: Victim): Promise<void> {
  const unused = [...secrets]; // to each victim all of them are new
  for (const attack of ["strangersFlood", "peerFloods"] as const) {
    const [identity, honest, newcomer] = unused.splice(0, 3);
    const target = (name: keyof typeof PORTS) => ({ ...victim.target, port: PORTS[name] });
    const pace = { perSecond: PER_SECOND, timeMs: FLOOD_MS };
    const [flood, echo, coming] = await Promise.all([
      stage.load(attack, { ...target("flood"), identity, ...pace }),
      stage.load("honestEchoes", {
        ...target("honest"),
        identities: [honest],
        everyMs: 250,
        timeMs: FLOOD_MS,
      }),
      stage.load("newcomersCome", {
        ...target("newcomer"),
        identities: [newcomer],
        everyMs: 0,
        patienceMs: PATIENCE_MS,
      }),
    ]);
    const [flooded, { rttsMs, lost }, [tookMs]] = await Promise.all([
      flood.run(),
      echo.run(),
      coming.run(),
    ]);
    const what = `${attack} at the ${victim.host.name}`;
    equal(flooded.sent, PER_SECOND * FLOOD_MS / 1_000);
    if (attack === "strangersFlood") equal(flooded.excessBytes, 0, what);
    ok(lost < rttsMs.length / 2, `${what}: ${lost} of ${rttsMs.length} ECHOs are lost`);
    ok(tookMs < PATIENCE_MS, `${what}: a newcomer gets in`);
  }
}

endToEndTest(
  "a root and a node serve honest nodes while strangers and a peer flood them",
  async () => {
    await using stage = new LoadStage(`${FOLDER}/hostile`);
    for (const victim of [stage.root, stage.leaf]) {
      await victim.start();
      if (victim === stage.leaf) await victim.service.online();
      await endure(stage, victim);
      const complaints = victim.service.log.filter((line) => /started again|not go on/.test(line));
      deepEqual(complaints, []);
    }
  },
);
