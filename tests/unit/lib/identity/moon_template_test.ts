import assert from "node:assert/strict";
import { fromHex, toHex } from "../../../../lib/base/bytes.ts";
import { WireError } from "../../../../lib/base/errors.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { Identity } from "../../../../lib/identity/identity.ts";
import {
  formatMoonTemplate,
  formatWorldTemplate,
  parseWorldTemplate,
  signingKeyFrom,
  signTemplate,
} from "../../../../lib/identity/moon_template.ts";
import { verifyWorld, worldBytes } from "../../../../lib/identity/world.ts";
import { countVectors } from "../../../vectors/count.ts";
import { loadVectors } from "../../../vectors/load.ts";

interface GenmoonVectors {
  genmoon: {
    initmoon_identity: string;
    initmoon_output: string;
    genmoon_input: Record<string, unknown> & { signingKey_SECRET: string };
    file_name: string;
    hex: string;
    parsed: {
      id: string;
      timestamp: number;
      signature: string;
      roots: { identity: string; stable_endpoints: string[] }[];
    };
    signature_valid: boolean;
  };
}
const { genmoon } = loadVectors<GenmoonVectors>("world.json");
const input = JSON.stringify(genmoon.genmoon_input);

Deno.test("formatMoonTemplate() prints what initmoon prints", () => {
  const secret = fromHex(genmoon.genmoon_input.signingKey_SECRET);
  const key = signingKeyFrom(noblePrimitives, secret);
  const printed = formatMoonTemplate(Identity.parse(genmoon.initmoon_identity), key);
  assert.equal(printed + "\n", genmoon.initmoon_output);
});

Deno.test("signTemplate() gives the bytes genmoon writes", () => {
  const timestamp = BigInt(genmoon.parsed.timestamp);
  const moon = signTemplate(noblePrimitives, parseWorldTemplate(input), timestamp);
  assert.equal(toHex(worldBytes(moon)), genmoon.hex);
  assert.equal(`${moon.id.toString(16).padStart(16, "0")}.moon`, genmoon.file_name);
  const verifies = verifyWorld(noblePrimitives, moon.updatesMustBeSignedBy, moon);
  assert.equal(verifies, genmoon.signature_valid);
  countVectors("world.json: genmoon", 2);
});

Deno.test("parseWorldTemplate() undoes formatWorldTemplate()", () => {
  const text = JSON.stringify(genmoon.genmoon_input, undefined, 1);
  assert.equal(formatWorldTemplate(parseWorldTemplate(text)), text);
});

Deno.test("parseWorldTemplate() says which field is wrong", () => {
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ worldType: "sun" }, /invalid worldType/],
    [{ id: "0" }, /id is not/],
    [{ id: 5 }, /id is not/],
    [{ signingKey: "12" }, /signingKey of 2 digits/],
    [{ signingKey_SECRET: "zz" }, /signingKey_SECRET is not hexadecimal/],
    [{ updatesMustBeSignedBy: null }, /updatesMustBeSignedBy is not hexadecimal/],
    [{ roots: {} }, /roots is not a list/],
    [{ roots: [1] }, /a root is not an object/],
    [{ roots: [{}] }, /a root has no identity/],
    [{ roots: [{ identity: "1" }] }, /not address:0:public key/],
    [
      { roots: [{ identity: genmoon.initmoon_identity, stableEndpoints: ["x"] }] },
      /"x" is not ip\/port/,
    ],
  ];
  for (const [change, message] of wrong) {
    const text = JSON.stringify({ ...genmoon.genmoon_input, ...change });
    assert.throws(() => parseWorldTemplate(text), (error) => {
      assert.ok(error instanceof WireError);
      assert.match(error.message, message);
      return true;
    });
  }
  assert.throws(() => parseWorldTemplate("{"), WireError);
  assert.throws(() => parseWorldTemplate("null"), WireError);
});
