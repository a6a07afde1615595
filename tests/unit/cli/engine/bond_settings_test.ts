import assert from "node:assert/strict";
import { bondPolicyFor, parseBonds } from "../../../../cli/engine/bond_settings.ts";
import { type JsonObject, parseJson } from "../../../../cli/engine/json.ts";
import { parseSettings } from "../../../../cli/engine/settings.ts";
import { parseAddress } from "../../../../lib/base/ids.ts";
import { BondMode, bondPolicy, DEFAULT_LINK } from "../../../../lib/peer/bond_policy.ts";

const parse = (text: string) => parseBonds(parseJson(text) as JsonObject);
const PEER = parseAddress("ae2ded7b88")!;
const OTHER = parseAddress("19810bb6a3")!;

Deno.test("parseBonds() finds no bonds where nothing is said of any", () => {
  for (
    const text of [
      "{}",
      '{"defaultBondingPolicy":""}',
      '{"defaultBondingPolicy":"none","peerSpecificBonds":{},"policies":null}',
      '{"policies":{"mine":{"basePolicy":"balance-rr"}}}',
    ]
  ) assert.equal(parse(text), undefined, text);
});

Deno.test("parseBonds() knows the five policies by name", () => {
  const names = ["active-backup", "broadcast", "balance-rr", "balance-xor", "balance-aware"];
  for (const [i, name] of names.entries()) {
    const bonds = parse(`{"defaultBondingPolicy":"${name}"}`)!;
    assert.deepEqual(bonds.standard, bondPolicy(i + 1 as BondMode));
  }
});

Deno.test("parseBonds() gives peers policies of their own, or none", () => {
  const bonds = parse(
    '{"defaultBondingPolicy":"broadcast","peerSpecificBonds":{"ae2ded7b88":"balance-xor"}}',
  )!;
  assert.equal(bondPolicyFor(bonds, PEER)?.mode, BondMode.BALANCE_XOR);
  assert.equal(bondPolicyFor(bonds, OTHER)?.mode, BondMode.BROADCAST);
  const but = parse(
    '{"defaultBondingPolicy":"broadcast","peerSpecificBonds":{"ae2ded7b88":"none"}}',
  )!;
  assert.equal(bondPolicyFor(but, PEER), undefined);
  const only = parse('{"peerSpecificBonds":{"ae2ded7b88":"balance-xor"}}')!;
  assert.equal(bondPolicyFor(only, OTHER), undefined);
});

Deno.test("parseBonds() reads custom policies whole", () => {
  const bonds = parse(`{
    "defaultBondingPolicy": "mine",
    "policies": { "mine": {
      "basePolicy": "active-backup", "upDelay": 1000, "downDelay": "200", "failoverInterval": 900,
      "packetsPerLink": 8, "activeReselect": "better",
      "linkQuality": { "lat_max": 400.0, "pdv_max": 20, "plr_max": 0.05, "per_max": 0.010,
        "lat_weight": 0.50, "pdv_weight": 0.25, "plr_weight": 0.25, "per_weight": 0.0 },
      "links": {
        "eth0": { "mode": "primary", "capacity": 1000, "ipvPref": 46, "failoverTo": "wwan0" },
        "wwan0": { "mode": "spare", "mtu": 1300, "enabled": false }
      }
    } } }`)!;
  assert.deepEqual(bonds.standard, {
    name: "mine",
    mode: BondMode.ACTIVE_BACKUP,
    failoverIntervalMs: 900,
    upDelayMs: 1_000,
    downDelayMs: 200,
    packetsPerLink: 8,
    reselect: "better",
    limits: {
      latencyMaxMs: 400,
      jitterMaxMs: 20,
      lossMax: 0.05,
      errorMax: 0.01,
      latencyWeight: 0.5,
      jitterWeight: 0.25,
      lossWeight: 0.25,
      errorWeight: 0,
    },
    links: new Map([
      ["eth0", {
        ...DEFAULT_LINK,
        mode: "primary",
        capacity: 1_000,
        ipPreference: 46,
        failoverTo: "wwan0",
      }],
      ["wwan0", { ...DEFAULT_LINK, mode: "spare", mtu: 1_300, enabled: false }],
    ]),
  });
  assert.deepEqual([...bonds.interfaces], ["eth0"]);
  const quick = parse(
    '{"defaultBondingPolicy":"q","policies":{"q":{"basePolicy":"broadcast","failoverInterval":1}}}',
  )!;
  assert.equal(quick.standard?.failoverIntervalMs, 500);
});

Deno.test("parseBonds() names what cannot be", () => {
  const policy = (fields: string) => `{"policies":{"p":{"basePolicy":"broadcast",${fields}}}}`;
  const quality = (changes: Record<string, unknown>) => {
    const whole = { lat_max: 1, pdv_max: 1, plr_max: 1, per_max: 1 };
    const weights = { lat_weight: 1, pdv_weight: 0, plr_weight: 0, per_weight: 0 };
    return policy(`"linkQuality":${JSON.stringify({ ...whole, ...weights, ...changes })}`);
  };
  const cases: [string, RegExp][] = [
    ['{"defaultBondingPolicy":"fast"}', /no policy "fast", only none, active-backup, /],
    ['{"defaultBondingPolicy":5}', /defaultBondingPolicy must be text/],
    ['{"peerSpecificBonds":{"x":"broadcast"}}', /peerSpecificBonds\."x" is not an address/],
    ['{"peerSpecificBonds":{"ae2ded7b88":"y"}}', /there is no policy "y"/],
    ['{"policies":[]}', /settings\.policies must be an object/],
    ['{"policies":{"p":1}}', /settings\.policies\."p" must be an object/],
    ['{"policies":{"p":{}}}', /"p"\.basePolicy must be one of active-backup, /],
    ['{"policies":{"p":{"basePolicy":"none"}}}', /basePolicy must be one of/],
    [policy('"activeReselect":"never"'), /activeReselect must be one of always, /],
    [policy('"links":{"eth0":{"mode":"third"}}'), /links\."eth0"\.mode must be "primary"/],
    [policy('"links":{"eth0":{"ipvPref":5}}'), /links\."eth0"\.ipvPref must be 0, 4, 6, 46 or 64/],
    [quality({ lat_max: undefined }), /linkQuality\.lat_max must be a number/],
    [quality({ lat_weight: 0.9 }), /weights must sum to 1, not 0\.9/],
  ];
  for (const [text, message] of cases) assert.throws(() => parse(text), message, text);
  assert.equal(parse(quality({ lat_weight: 0.995 })), undefined, "nearly 1 is enough");
});

Deno.test("parseSettings() allows no TCP fallback beside bonds, as the reference", () => {
  const settings = (text: string) => parseSettings({ settings: parseJson(text) as JsonObject });
  assert.equal(settings('{"defaultBondingPolicy":"broadcast"}').allowTcpFallbackRelay, false);
  assert.equal(settings("{}").allowTcpFallbackRelay, true);
  assert.equal(settings("{}").bonds, undefined);
});
