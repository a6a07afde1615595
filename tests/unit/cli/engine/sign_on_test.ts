import assert from "node:assert/strict";
import { EMPTY_CONFIG } from "../../../../lib/credential/network_config.ts";
import { signOnInfo } from "../../../../cli/engine/sign_on.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const SSO = {
  ...EMPTY_CONFIG.sso,
  enabled: true,
  authenticationUrl: "https://old.example/",
  expiryMs: 1_790_000_000_000,
};

Deno.test("signOnInfo() says nothing of a network without single sign-on", () => {
  const none = { refusal: undefined, authentication: undefined };
  assert.deepEqual(signOnInfo({ config: undefined, ...none }), {});
  assert.deepEqual(signOnInfo({ config: EMPTY_CONFIG, ...none }), {});
});

Deno.test("signOnInfo() names where to sign in as the configuration says", () => {
  const config = { ...EMPTY_CONFIG, sso: SSO };
  assert.deepEqual(signOnInfo({ config, refusal: undefined, authentication: undefined }), {
    ssoEnabled: true,
    ssoVersion: 0,
    authenticationURL: "https://old.example/",
    authenticationExpiryTime: SSO.expiryMs,
  });
});

Deno.test("signOnInfo() takes the URL of a refusal, also before there is any configuration", () => {
  const refusal = "AUTHENTICATION_REQUIRED" as const;
  const authentication = bytes("aV=0\naU=https://new.example/?a\\eb\n");
  const expected = {
    ssoEnabled: true,
    ssoVersion: 0,
    authenticationURL: "https://new.example/?a=b",
  };
  assert.deepEqual(signOnInfo({ config: undefined, refusal, authentication }), {
    ...expected,
    authenticationExpiryTime: 0,
  });
  const config = { ...EMPTY_CONFIG, sso: SSO };
  assert.deepEqual(signOnInfo({ config, refusal, authentication }), {
    ...expected,
    authenticationExpiryTime: SSO.expiryMs,
  });
  const issuer = bytes("aV=1\niU=https://issuer.example/\n");
  const { authenticationURL, ssoVersion } = signOnInfo({ config, refusal, authentication: issuer });
  assert.deepEqual([authenticationURL, ssoVersion], ["https://issuer.example/", 1]);
  assert.deepEqual(signOnInfo({ config: undefined, refusal, authentication: undefined }), {
    ssoEnabled: true,
    ssoVersion: 0,
    authenticationURL: "",
    authenticationExpiryTime: 0,
  });
});
