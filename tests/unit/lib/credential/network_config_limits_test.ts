/** What a controller may send that we could not write again. Found by fuzzing. @module */
import assert from "node:assert/strict";
import { concat, utf8 } from "../../../../lib/base/bytes.ts";
import { cutText } from "../../../../lib/base/cut_text.ts";
import {
  decodeNetworkConfig,
  encodeNetworkConfig,
} from "../../../../lib/credential/network_config.ts";

const HEAD = utf8("v=7\nnwid=b52e931836000001\nid=5811208aac\n");

Deno.test("decodeNetworkConfig() cuts a name that malformed UTF-8 makes too long to write", () => {
  const name = new Uint8Array(127).fill(0xff);
  const config = decodeNetworkConfig(concat(HEAD, utf8("n="), name));
  assert.equal(config.name, "\ufffd".repeat(42));
  assert.ok(decodeNetworkConfig(encodeNetworkConfig(config)));
});

Deno.test("decodeNetworkConfig() keeps numbers below 2^64", () => {
  const config = decodeNetworkConfig(
    concat(HEAD, utf8("r=ffffffffffffffff\nts=ffffffffffffffff\n")),
  );
  assert.ok(config.revision < 2 ** 64 && config.timestampMs < 2 ** 64);
  assert.ok(decodeNetworkConfig(encodeNetworkConfig(config)));
});

Deno.test("cutText() cuts between characters", () => {
  assert.equal(cutText("aäö", 5), "aäö");
  assert.equal(cutText("aäö", 4), "aä");
  assert.equal(cutText("aäö", 2), "a");
  assert.equal(cutText("😀", 3), "");
});
