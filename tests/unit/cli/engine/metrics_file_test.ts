import assert from "node:assert/strict";
import { Home } from "../../../../cli/engine/home.ts";
import { MetricsFile } from "../../../../cli/engine/metrics_file.ts";

Deno.test("MetricsFile writes at once, replaces what was there, and leaves nothing beside", async () => {
  const path = Deno.makeTempDirSync({ prefix: "zt-metrics-" });
  try {
    const home = new Home(path);
    Deno.writeTextFileSync(home.pathOf("metrics.prom"), "of an earlier run, and longer\n");
    let count = 0;
    const file = new MetricsFile(home, () => `n ${++count}\n`, assert.fail);
    file.start();
    await file.stop();
    const first = count;
    assert.equal(home.readText("metrics.prom"), `n ${first}\n`);
    file.refresh();
    await file.stop();
    assert.ok(count > first, "written again");
    assert.equal(home.readText("metrics.prom"), `n ${count}\n`);
    assert.deepEqual(home.list("."), ["metrics.prom"]);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
});

Deno.test("MetricsFile complains once when the disk says no", async () => {
  const lines: string[] = [];
  const file = new MetricsFile(new Home("/nonexistent"), () => "", (line) => lines.push(line));
  for (let i = 0; i < 3; i++) {
    file.refresh();
    await file.stop();
  }
  assert.equal(lines.length, 1);
  assert.match(lines[0], /^cannot write \/nonexistent\/metrics\.prom: /);
});
