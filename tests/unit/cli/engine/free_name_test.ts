import assert from "node:assert/strict";
import { exists, freeName } from "../../../../cli/engine/free_name.ts";

Deno.test("freeName() takes the lowest number that is free, until a thousand are taken", () => {
  const folder = Deno.makeTempDirSync({ prefix: "zt-names-" });
  try {
    assert.equal(freeName(`${folder}/a.bad`), `${folder}/a.bad-1`);
    Deno.symlinkSync("nowhere", `${folder}/a.bad-1`);
    Deno.mkdirSync(`${folder}/a.bad-2`);
    Deno.writeTextFileSync(`${folder}/a.bad-4`, "");
    assert.equal(freeName(`${folder}/a.bad`), `${folder}/a.bad-3`);
    assert.equal(exists(`${folder}/a.bad-1`), true); // a link that leads nowhere
    for (let n = 1; n <= 1_000; n++) Deno.writeTextFileSync(`${folder}/b-${n}`, "");
    assert.equal(freeName(`${folder}/b`), undefined);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
