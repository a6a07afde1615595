import assert from "node:assert/strict";
import { type Head, parseHead } from "../../../../../cli/engine/http_head.ts";
import {
  answerUpgrade,
  isUpgraded,
  upgradeRequest,
} from "../../../../../cli/engine/tcp/upgrade.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const nonce = bytes("the sample nonce"); // dGhlIHNhbXBsZSBub25jZQ==, the one of RFC 6455 section 1.3
const head = (text: string): Head => parseHead(bytes(text))!;

Deno.test("answerUpgrade() agrees to our request as RFC 6455 computes it, and the client sees it", () => {
  const request = parseHead(upgradeRequest("[2001:db8::1]", nonce))!;
  assert.equal(request.fields.get("host"), "[2001:db8::1]");
  const { accepted, answer } = answerUpgrade(request);
  assert.equal(accepted, true);
  const response = parseHead(answer)!;
  assert.equal(response.fields.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  assert.equal(isUpgraded(response, nonce), true);
});

Deno.test("answerUpgrade() refuses any request that misses a part", () => {
  const request = new TextDecoder().decode(upgradeRequest("44.0.0.1", nonce));
  const changes: [RegExp, string][] = [
    [/^GET/, "POST"],
    [/HTTP\/1.1/, "HTTP/1.0"],
    [/Upgrade: websocket/, "Upgrade: h2c"],
    [/Connection: Upgrade/, "Connection: close"],
    [/Version: 13/, "Version: 12"],
    [/Sec-WebSocket-Key: \S+\r\n/, ""],
    [/Protocol: \S+/, "Protocol: chat"],
  ];
  for (const [from, to] of changes) {
    const changed = request.replace(from, to);
    assert.notEqual(changed, request);
    const { accepted, answer } = answerUpgrade(head(changed));
    assert.equal(accepted, false, changed);
    assert.match(new TextDecoder().decode(answer), /^HTTP\/1.1 404 /);
  }
});

Deno.test("answerUpgrade() takes lists and capitals, as proxies write them", () => {
  const request = new TextDecoder().decode(upgradeRequest("44.0.0.1", nonce))
    .replace("Connection: Upgrade", "connection: keep-alive, upgrade")
    .replace("Upgrade: websocket", "UPGRADE: WebSocket");
  assert.equal(answerUpgrade(head(request)).accepted, true);
});

Deno.test("isUpgraded() refuses another status, another nonce, another protocol", () => {
  const answer = new TextDecoder().decode(
    answerUpgrade(parseHead(upgradeRequest("44.0.0.1", nonce))!).answer,
  );
  assert.equal(isUpgraded(head(answer), nonce), true);
  assert.equal(isUpgraded(head(answer), bytes("another nonce 16")), false);
  assert.equal(isUpgraded(head(answer.replace("101", "200")), nonce), false);
  assert.equal(isUpgraded(head(answer.replace(/Protocol: \S+/, "Protocol: chat")), nonce), false);
});
