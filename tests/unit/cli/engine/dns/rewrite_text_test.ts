import { equal, ok, throws } from "node:assert/strict";
import { rewriteText } from "../../../../../cli/engine/dns/rewrite_text.ts";

const SHORT = "# by hand\nnameserver 192.0.2.1\n";
const LONG = `# zt begin\nnameserver 10.9.50.53\n# zt end\n${SHORT}`;
const WRITER = new URL("rewrite_writer.ts", import.meta.url).pathname;
const KILLS = 20;

Deno.test("rewriteText() replaces a longer and a shorter text through a link", () => {
  const folder = Deno.makeTempDirSync();
  try {
    const [path, link] = [`${folder}/text`, `${folder}/link`];
    Deno.writeTextFileSync(path, SHORT);
    Deno.symlinkSync(path, link);
    for (const text of [LONG, SHORT, "", LONG]) {
      rewriteText(link, text);
      equal(Deno.readTextFileSync(path), text);
    }
    ok(Deno.lstatSync(link).isSymlink);
    throws(() => rewriteText(`${folder}/none`, SHORT), Deno.errors.NotFound);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("rewriteText() leaves one of the texts whole when the process is killed", async () => {
  const path = Deno.makeTempFileSync();
  try {
    for (let trial = 0; trial < KILLS; trial++) {
      Deno.writeTextFileSync(path, SHORT);
      const writer = new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "--no-check", "-A", WRITER, path, SHORT, LONG],
        stdout: "piped",
      }).spawn();
      const said = writer.stdout.getReader();
      await said.read();
      await new Promise((resolve) => setTimeout(resolve, trial));
      writer.kill("SIGKILL");
      await writer.status;
      await said.cancel();
      const left = Deno.readTextFileSync(path);
      const text = left.startsWith("# zt") ? LONG : SHORT;
      equal(left.slice(0, text.length), text);
      equal(left.slice(text.length).replaceAll("\n", ""), "");
    }
  } finally {
    Deno.removeSync(path);
  }
});
