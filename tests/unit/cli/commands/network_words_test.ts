import assert from "node:assert/strict";
import type { NetworkInfo } from "../../../../cli/api/view.ts";
import { networkStateText, signedInText } from "../../../../cli/commands/network_words.ts";

const ADDRESS = "19810bb6a3";
const URL = "https://sso.example/?a=b";
const wanting = {
  nwid: "8056c2e21c000001",
  status: "AUTHENTICATION_REQUIRED",
  ssoEnabled: true,
  ssoVersion: 0,
  authenticationURL: URL,
} as NetworkInfo;

Deno.test("networkStateText() says where to sign in, or what to do where a browser is not enough", () => {
  assert.match(
    networkStateText(wanting, ADDRESS),
    /with a browser, .*: https:\/\/sso\.example\/\?a=b$/,
  );
  const oidc = networkStateText({ ...wanting, ssoVersion: 1 }, ADDRESS);
  assert.match(oidc, /OpenID Connect .*does not speak: ask .* to exempt 19810bb6a3$/);
  assert.match(
    networkStateText({ ...wanting, authenticationURL: "" }, ADDRESS),
    /ask whoever runs/,
  );
});

Deno.test("signedInText() says until when a sign-in holds, and where to renew it", () => {
  const ok: NetworkInfo = { ...wanting, status: "OK", authenticationExpiryTime: 1_790_000_000_000 };
  assert.equal(signedInText(ok, 1_789_999_999_999), "signed in until 2026-09-21T14:13:20Z");
  assert.equal(
    signedInText(ok, 1_790_000_000_000),
    `the sign-in has ended (2026-09-21T14:13:20Z); sign in again: ${URL}`,
  );
  assert.equal(signedInText({ ...ok, ssoEnabled: undefined }, 0), undefined);
  assert.equal(signedInText({ ...ok, authenticationExpiryTime: 0 }, 0), undefined);
});
