import assert from "node:assert/strict";
import {
  redactedConf,
  redactedConfText,
  withoutQuotation,
  withoutRedacted,
} from "../../../../cli/engine/conf_secrets.ts";
import { parseJson } from "../../../../cli/engine/json.ts";

const shown = (httpProxy: string) => redactedConf({ settings: { httpProxy, names: true } });

Deno.test("redactedConf() shows where a proxy is, and neither user nor password", () => {
  assert.deepEqual(shown("http://me:secret@proxy:1").settings, {
    httpProxy: "http://***@proxy:1",
    names: true,
  });
  assert.deepEqual(shown("http://proxy:1").settings, { httpProxy: "http://proxy:1", names: true });
  assert.deepEqual(shown("none").settings, { httpProxy: "none", names: true });
  // What is no proxy may hold a password anywhere.
  const nonsense = ["http://me:secret", "me:se/cret@proxy:1", "https://me:secret@proxy:1"];
  for (const text of nonsense) {
    assert.deepEqual(shown(text).settings, { httpProxy: "***", names: true }, text);
  }
  const object = redactedConf({ settings: { httpProxy: { password: "secret" } } });
  assert.deepEqual(object, { settings: { httpProxy: "***" } });
  const plain = { settings: { names: true }, virtual: {} };
  assert.equal(redactedConf(plain), plain);
  assert.deepEqual(redactedConf({ settings: 1 }), { settings: 1 });
});

Deno.test("redactedConfText() hides them in a file, broken or not", () => {
  const text =
    '{\n  "settings": {\n    "httpProxy" : "http://me:secret@proxy:1",\n    "names": true\n  }\n}';
  assert.equal(redactedConfText(text).includes("secret"), false);
  assert.match(redactedConfText(text), /"httpProxy" : "http:\/\/\*\*\*@proxy:1",\n +"names": true/);
  const escaped = '{"settings": {"httpProxy": "http://me:s\\"ecret@proxy:1"}}';
  assert.equal(redactedConfText(escaped), '{"settings": {"httpProxy": "***"}}');
  const open = '{"settings": {"httpProxy": "http://me:secret@proxy:1\n}}';
  assert.equal(redactedConfText(open).includes("secret"), false);
  assert.equal(redactedConfText("None Present"), "None Present");
});

Deno.test("withoutRedacted() keeps a proxy that was only shown from being written", () => {
  const change = { httpProxy: "http://***@proxy:1", names: false };
  assert.deepEqual(withoutRedacted(change), { names: false });
  const real = { httpProxy: "http://me:new@proxy:1" };
  assert.deepEqual(withoutRedacted(real), real);
  assert.deepEqual(withoutRedacted({ names: true }), { names: true });
});

Deno.test("withoutQuotation() leaves nothing of a file in what a parser complains of", () => {
  for (
    const text of ['{"httpProxy": secret}', '{"a": "b" "secret"}', "secret", '{"x":1,"secret}']
  ) {
    try {
      parseJson(text);
      assert.fail("it is no JSON");
    } catch (error) {
      assert.ok(error instanceof SyntaxError);
      assert.doesNotMatch(withoutQuotation(error.message), /secret/, error.message);
    }
  }
});
