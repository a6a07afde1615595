import assert from "node:assert/strict";
import { answerWebApp } from "../../../../cli/api/web_app.ts";
import { Home } from "../../../../cli/engine/home.ts";
import { readWebFile } from "../../../../cli/engine/web_files.ts";

Deno.test("readWebFile() serves files below app and nothing else of the home folder", () => {
  const path = Deno.makeTempDirSync({ prefix: "zt-web-" });
  try {
    const home = new Home(path);
    Deno.writeTextFileSync(home.pathOf("authtoken.secret"), "secret");
    home.write("app/ui/index.html", "<p>index</p>");
    home.write("app/ui/f.txt", "x");
    const get = (target: string) => {
      const { status, body } = answerWebApp(target, (file) => readWebFile(home, file));
      return [status, typeof body === "string" ? body : new TextDecoder().decode(body)];
    };
    assert.deepEqual(get("/app/ui/"), [200, "<p>index</p>"]);
    assert.deepEqual(get("/app/ui/f.txt"), [200, "x"]);
    assert.deepEqual(get("/app/ui/none.txt"), [404, ""]);
    assert.deepEqual(get("/app"), [404, ""]);
    for (const target of ["/app/../authtoken.secret", "/app/%2e%2e/authtoken.secret"]) {
      assert.deepEqual(get(target), [404, ""]);
    }
    assert.equal(readWebFile(home, "ui"), undefined, "a folder is no file");
    assert.equal(readWebFile(home, "ui/f.txt/below"), undefined);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
});
