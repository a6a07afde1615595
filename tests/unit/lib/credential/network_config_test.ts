import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, fromHex, text, toHex, utf8 } from "../../../../lib/base/bytes.ts";
import { WireError } from "../../../../lib/base/errors.ts";
import {
  formatAddress,
  formatNetworkId,
  parseAddress,
  parseNetworkId,
} from "../../../../lib/base/ids.ts";
import { formatIp, formatPrefix, parseIp, parsePrefix } from "../../../../lib/base/ip.ts";
import { signCapability } from "../../../../lib/credential/capability.ts";
import { Dictionary, DictionaryWriter } from "../../../../lib/credential/dictionary.ts";
import {
  ConfigFlag,
  decodeNetworkConfig,
  EMPTY_CONFIG,
  encodeNetworkConfig,
  type NetworkConfig,
} from "../../../../lib/credential/network_config.ts";
import { ConfigLimits, Role } from "../../../../lib/credential/network_config_binary.ts";
import { signTag } from "../../../../lib/credential/tag.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { Identity } from "../../../../lib/identity/identity.ts";
import { countVectors } from "../../../vectors/count.ts";
import { packetVectors } from "../../../vectors/packets.ts";
import { vl2 } from "../../../vectors/vl2.ts";

const networkId = parseNetworkId(vl2.networkId)!;
const issuedTo = parseAddress(vl2.identities.a.address)!;
const minimal: NetworkConfig = { ...EMPTY_CONFIG, networkId, issuedTo };

/** The configuration of the vectors with one value replaced. */
function withValue(key: string, value: Uint8Array | undefined): Uint8Array {
  const dictionary = Dictionary.decode(fromHex(vl2.networkConfig.dictionaryHex));
  const d = new DictionaryWriter();
  for (const other of dictionary.keys()) {
    if (other !== key) d.bytes(other, dictionary.get(other)!);
    else if (value) d.bytes(key, value);
  }
  if (value && !dictionary.keys().includes(key)) d.bytes(key, value);
  return d.finish();
}

Deno.test("the reference's dictionary has the recorded entries, in the recorded order", () => {
  const dictionary = Dictionary.decode(fromHex(vl2.networkConfig.dictionaryHex));
  assert.deepEqual(dictionary.keys(), vl2.networkConfig.keyOrder);
  const entries = Object.entries(vl2.networkConfig.decodedEntries);
  for (const [key, expected] of entries) {
    if (typeof expected === "string") assert.equal(dictionary.getText(key), expected, key);
    else assert.equal(toHex(dictionary.get(key)!), expected.hex, key);
  }
  countVectors("vl2.json: networkConfig entries", entries.length);
});

Deno.test("decodeNetworkConfig() reads the reference's configuration", () => {
  const config = decodeNetworkConfig(fromHex(vl2.networkConfig.dictionaryHex));
  assert.equal(formatNetworkId(config.networkId), vl2.networkId);
  assert.equal(formatAddress(config.issuedTo), vl2.identities.a.address);
  assert.equal(config.timestampMs, parseInt(vl2.timestamp, 16));
  assert.equal(config.credentialTimeMaxDeltaMs, 1_800_000);
  assert.equal(config.revision, 12);
  assert.equal(config.flags, ConfigFlag.BROADCAST | ConfigFlag.NDP_EMULATION);
  assert.equal(config.multicastLimit, 32);
  assert.equal(config.type, "private");
  assert.equal(config.name, "example=net");
  assert.equal(config.mtu, 2_800);
  assert.equal(config.com?.qualifiers.length, 7);
  assert.deepEqual(config.capabilities.map(({ id }) => id), [1_000]);
  assert.deepEqual(config.tags.map(({ id, value }) => [id, value]), [[1_000, 300]]);
  assert.equal(config.ownerships.length, 1);
  assert.deepEqual(
    config.specialists.map(({ address, roles }) => [formatAddress(address), roles]),
    [
      [vl2.identities.b.address, Role.ACTIVE_BRIDGE],
      [vl2.identities.c.address, Role.ANCHOR | Role.MULTICAST_REPLICATOR],
    ],
  );
  assert.deepEqual(config.staticIps.map(formatPrefix).slice(0, 1), ["10.147.20.5/24"]);
  assert.equal(config.staticIps.length, 2);
  assert.equal(formatPrefix(config.routes[0].target), "10.147.20.0/24");
  assert.equal(config.routes[0].via, undefined);
  assert.equal(formatIp(config.routes[1].via!), "10.147.20.1");
  assert.equal(config.routes[1].metric, 5);
  assert.equal(toHex(config.rules), "a5020800a5020806a50286dd00000100");
  assert.equal(config.dns.domain, "example.lan");
  assert.ok(config.dns.servers.length > 0);
  assert.equal(config.sso.enabled, false);
});

Deno.test("encodeNetworkConfig() gives back the reference's bytes, captured configurations included", () => {
  const dictionaries = [fromHex(vl2.networkConfig.dictionaryHex)];
  for (const { fields } of packetVectors.packets) {
    const data = fields.find((field) => field.name === "chunkData");
    if (data) dictionaries.push(fromHex(data.hex));
  }
  for (const bytes of dictionaries) {
    assert.equal(text(encodeNetworkConfig(decodeNetworkConfig(bytes))), text(bytes));
  }
  countVectors("vl2.json and packets.json: network configs encoded", dictionaries.length);
});

Deno.test("decodeNetworkConfig() fills in what is missing and clamps what is out of range", () => {
  const bare = decodeNetworkConfig(utf8(`v=7\nnwid=${vl2.networkId}\nid=5811208aac`));
  assert.deepEqual(bare, minimal);
  const mtu = (value: string) => decodeNetworkConfig(withValue("mtu", utf8(value))).mtu;
  assert.deepEqual([mtu("1"), mtu("ffff"), mtu("5dc")], [1_280, 10_000, 1_500]);
  assert.equal(decodeNetworkConfig(withValue("n", utf8("x".repeat(300)))).name.length, 127);
  assert.equal(decodeNetworkConfig(withValue("t", utf8("1"))).type, "public");
  assert.deepEqual(decodeNetworkConfig(withValue("nonsense", utf8("1"))).name, "example=net");
});

Deno.test("decodeNetworkConfig() refuses a configuration for nobody, of an old format, or too long", () => {
  const refused: [key: string, value: Uint8Array | undefined][] = [
    ["v", utf8("5")],
    ["v", undefined],
    ["nwid", utf8("0")],
    ["nwid", undefined],
    ["id", utf8("0000000000")],
    ["id", undefined],
    ["padding", new Uint8Array(484_520).fill(0x20)],
  ];
  for (const [key, value] of refused) {
    assert.throws(() => decodeNetworkConfig(withValue(key, value)), WireError, key);
  }
  assert.throws(() => decodeNetworkConfig(new Uint8Array(0)), WireError);
  assert.throws(() => decodeNetworkConfig(utf8("\n")), WireError);
});

Deno.test("an error in C, COO, RT, I, R or DNS rejects the configuration; in CAP and TAG it ends the list", () => {
  const dictionary = Dictionary.decode(fromHex(vl2.networkConfig.dictionaryHex));
  for (const key of ["C", "COO", "RT", "I", "R", "DNS"]) {
    const cut = dictionary.get(key)!.slice(0, -1);
    assert.throws(() => decodeNetworkConfig(withValue(key, cut)), WireError, key);
  }
  for (const key of ["CAP", "TAG"] as const) {
    const value = dictionary.get(key)!;
    const broken = concat(value, value.subarray(0, 20));
    const config = decodeNetworkConfig(withValue(key, broken));
    assert.equal((key === "CAP" ? config.capabilities : config.tags).length, 1, key);
  }
  const specialists = concat(dictionary.get("S")!, Uint8Array.of(1, 2, 3));
  assert.equal(decodeNetworkConfig(withValue("S", specialists)).specialists.length, 2);
  const prefix = fromHex("04" + "0a000001" + "0021");
  assert.throws(() => decodeNetworkConfig(withValue("I", prefix)), WireError, "/33");
});

Deno.test("decodeNetworkConfig() drops what is beyond the limits", () => {
  const dictionary = Dictionary.decode(fromHex(vl2.networkConfig.dictionaryHex));
  const many = (key: string, times: number) =>
    decodeNetworkConfig(withValue(key, concat(...new Array(times).fill(dictionary.get(key)))));
  assert.equal(many("TAG", 200).tags.length, ConfigLimits.TAGS);
  assert.equal(many("CAP", 200).capabilities.length, ConfigLimits.CAPABILITIES);
  assert.equal(many("COO", 9).ownerships.length, ConfigLimits.OWNERSHIPS);
  assert.equal(many("S", 200).specialists.length, ConfigLimits.SPECIALISTS);
  assert.equal(many("RT", 100).routes.length, ConfigLimits.ROUTES);
  assert.equal(many("I", 40).staticIps.length, ConfigLimits.STATIC_IPS);
  assert.equal(many("R", 300).rules.length, many("R", 205).rules.length);
});

Deno.test("encodeNetworkConfig() refuses more than a member reads", () => {
  const route = { target: parsePrefix("10.0.0.0/8")!, via: undefined, flags: 0, metric: 0 };
  const refused: Partial<NetworkConfig>[] = [
    { name: "x".repeat(128) },
    { routes: new Array(129).fill(route) },
    { staticIps: new Array(33).fill(parsePrefix("10.0.0.1/8")!) },
    { specialists: new Array(257).fill({ address: issuedTo, roles: 0 }) },
    { rules: fromHex("0100".repeat(1_025)) },
    { dns: { domain: "x".repeat(128), servers: [] } },
    { dns: { domain: "", servers: new Array(5).fill(parseIp("10.0.0.1")!) } },
    { timestampMs: -1 },
  ];
  for (const change of refused) {
    assert.throws(() => encodeNetworkConfig({ ...minimal, ...change }), RangeError);
  }
});

Deno.test("capabilities and tags come out ascending by id", () => {
  const controller = Identity.parse(vl2.identities.controller.secret);
  const tag = (id: number) =>
    signTag(noblePrimitives, controller, { networkId, timestampMs: 1, id, value: 0, issuedTo });
  const capability = (id: number) => {
    const rules = new Uint8Array(0);
    const fields = { networkId, timestampMs: 1, id, rules, custodyLinksMax: 1 };
    return signCapability(noblePrimitives, controller, fields, issuedTo);
  };
  const config = decodeNetworkConfig(encodeNetworkConfig({
    ...minimal,
    tags: [tag(3), tag(1), tag(2)],
    capabilities: [capability(9), capability(8)],
  }));
  assert.deepEqual(config.tags.map(({ id }) => id), [1, 2, 3]);
  assert.deepEqual(config.capabilities.map(({ id }) => id), [8, 9]);
});

Deno.test("single sign-on survives in both versions", () => {
  const empty = EMPTY_CONFIG.sso;
  const versions = [
    { ...empty, enabled: true, authenticationUrl: "https://sso.example/a=b", expiryMs: 1_234 },
    {
      ...empty,
      enabled: true,
      version: 1,
      issuerUrl: "https://issuer.example",
      centralUrl: "https://central.example",
      nonce: "n",
      state: "s",
      clientId: "c",
      provider: "default",
    },
  ];
  for (const sso of versions) {
    assert.deepEqual(decodeNetworkConfig(encodeNetworkConfig({ ...minimal, sso })).sso, sso);
  }
});

Deno.test("any configuration survives encoding and decoding", () => {
  const ip = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  const plain = { noNullPrototype: true } as const;
  const prefix = ip.chain((ip) =>
    fc.record({ ip: fc.constant(ip), bits: fc.integer({ min: 0, max: ip.length * 8 }) }, plain)
  );
  const u16 = fc.integer({ min: 0, max: 65_535 });
  const changes = fc.record({
    timestampMs: fc.maxSafeNat(),
    credentialTimeMaxDeltaMs: fc.maxSafeNat(),
    revision: fc.maxSafeNat(),
    flags: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    multicastLimit: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    type: fc.constantFrom("private" as const, "public" as const),
    name: fc.string({ maxLength: 60, unit: "grapheme-ascii" }),
    mtu: fc.integer({ min: 1_280, max: 10_000 }),
    staticIps: fc.array(prefix, { maxLength: 5 }),
    routes: fc.array(
      fc.record({
        target: prefix,
        via: fc.option(ip, { nil: undefined }),
        flags: u16,
        metric: u16,
      }, plain),
      { maxLength: 5 },
    ),
    dns: fc.record({
      domain: fc.stringMatching(/^[a-z.]{0,20}$/),
      servers: fc.array(ip, { maxLength: 4 }),
    }, plain),
  }, plain);
  fc.assert(
    fc.property(changes, (changes) => {
      const config = { ...minimal, ...changes };
      assert.deepEqual(decodeNetworkConfig(encodeNetworkConfig(config)), config);
    }),
    { seed: 1 },
  );
});

Deno.test("decodeNetworkConfig() throws nothing but WireError on mutated bytes", () => {
  const bytes = fromHex(vl2.networkConfig.dictionaryHex);
  const mutation = fc.record({
    at: fc.integer({ min: 0, max: bytes.length - 1 }),
    byte: fc.integer({ min: 0, max: 255 }),
  });
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 8 }), (mutations) => {
      const mutated = bytes.slice();
      for (const { at, byte } of mutations) mutated[at] = byte;
      try {
        decodeNetworkConfig(mutated);
      } catch (error) {
        assert.ok(error instanceof WireError, `${error}`);
      }
    }),
    { numRuns: 2_000, seed: 1 },
  );
});
