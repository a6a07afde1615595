/**
 * Every decoder against bytes gone wrong: it reads them or throws a `WireError`, nothing else; and what it read can be
 * written and read again to the same.
 * @module
 */
import assert from "node:assert/strict";
import { fromHex, Reader, text, utf8, Writer } from "../../lib/base/bytes.ts";
import { decodeEndpoint, encodeEndpoint, parseEndpoint, parseIp } from "../../lib/base/ip.ts";
import { type Address, parseNetworkId } from "../../lib/base/ids.ts";
import { decodeCapability, encodeCapability } from "../../lib/credential/capability.ts";
import { decodeCom, encodeCom } from "../../lib/credential/certificate_of_membership.ts";
import { decodeOwnership, encodeOwnership } from "../../lib/credential/certificate_of_ownership.ts";
import { ConfigAssembler } from "../../lib/credential/config_chunks.ts";
import { Dictionary } from "../../lib/credential/dictionary.ts";
import { decodeNames, encodeNames, type NameList } from "../../lib/credential/member_names.ts";
import { decodeNetworkConfig, encodeNetworkConfig } from "../../lib/credential/network_config.ts";
import { decodeRequestMetadata } from "../../lib/credential/request_metadata.ts";
import { decodeRevocation, encodeRevocation } from "../../lib/credential/revocation.ts";
import { decodeRules, encodeRules } from "../../lib/credential/rule_codec.ts";
import { decodeTag, encodeTag } from "../../lib/credential/tag.ts";
import { noblePrimitives } from "../../lib/crypto/noble.ts";
import { deriveSessionKeys } from "../../lib/crypto/session_keys.ts";
import { Identity } from "../../lib/identity/identity.ts";
import { parseWorldTemplate } from "../../lib/identity/moon_template.ts";
import { decodeWorld, encodeWorld } from "../../lib/identity/world.ts";
import { PacketKernel } from "../../lib/kernel/mod.ts";
import { PacketTwin } from "../../lib/kernel/twin.ts";
import { parseFrame } from "../../lib/network/ethernet.ts";
import { emulateNdp } from "../../lib/network/ndp.ts";
import { NetworkFilter } from "../../lib/network/rules/mod.ts";
import { decodeCachedPeer, encodeCachedPeer } from "../../lib/node/peer_cache.ts";
import { Armor } from "../../lib/wire/armor.ts";
import { decodeBeacon } from "../../lib/wire/beacon.ts";
import { compress, decompress } from "../../lib/wire/compress.ts";
import { describeHeader, describePayload } from "../../lib/wire/describe.ts";
import { Reassembler } from "../../lib/wire/fragment.ts";
import { decodeOk } from "../../lib/wire/ok.ts";
import { buildPacket, HEADER_LENGTH, Verb, verbName, verbOf } from "../../lib/wire/packet.ts";
import { loadVectors } from "../vectors/load.ts";
import { packetVectors, payloadOf } from "../vectors/packets.ts";
import { HAND_MADE, roundTrip } from "../unit/lib/wire/round_trips.ts";
import { fuzzTarget } from "./target.ts";

interface Vl2 {
  dictionary: { encodedHex?: string; rawText?: string }[];
  credentials: { type: string; hex: string }[];
  networkConfig: { dictionaryHex: string };
  configChunks: Record<string, unknown>;
}
const vl2 = loadVectors<Vl2>("vl2.json");
const worlds = loadVectors<{ worlds: { hex: string }[] }>("world.json").worlds;
const identities = loadVectors<{ binary: { hex: string }[]; text: { string: string }[] }>(
  "identity.json",
);
const rules = loadVectors<{ compile: { rulesHex?: string }[] }>("rules.json").compile;
const network = parseNetworkId("b52e931836000001")!;

const payloads = [
  ...packetVectors.packets.map((vector) => ({
    verb: verbOf(fromHex(vector.plaintext)),
    payload: payloadOf(vector),
  })),
  ...HAND_MADE,
];
const EMPTY = new Uint8Array(0);

/** The OKs whose bodies have a layout. */
const OK_VERBS = new Set<number>([
  Verb.HELLO,
  Verb.WHOIS,
  Verb.EXT_FRAME,
  Verb.ECHO,
  Verb.NETWORK_CONFIG_REQUEST,
  Verb.NETWORK_CONFIG,
  Verb.MULTICAST_GATHER,
  Verb.MULTICAST_FRAME,
]);

function packetOf(verb: Verb, payload: Uint8Array): Uint8Array {
  const [destination, source] = [1 as Address, 2 as Address];
  return buildPacket({ id: new Uint8Array(8), destination, source, verb }, payload);
}

for (const verb of Object.values(Verb)) {
  const examples = payloads.filter((it) => it.verb === verb).map(({ payload }) => payload);
  fuzzTarget({
    name: `payload of ${verbName(verb)}`,
    examples: [EMPTY, ...examples],
    weight: 0.4,
    run(bytes) {
      describePayload(packetOf(verb, bytes));
      if (verb === Verb.OK && !OK_VERBS.has(decodeOk(bytes).inReVerb)) return;
      const written = roundTrip(verb, bytes);
      assert.deepEqual(roundTrip(verb, written), written, "what was written reads the same");
    },
  });
}

/** A decoder that consumes one thing, and its encoder. */
function pairTarget<T>(
  name: string,
  hexes: readonly string[],
  decode: (r: Reader) => T,
  encode: (value: T, w: Writer) => void,
): void {
  const rewrite = (bytes: Uint8Array) => {
    const w = new Writer();
    encode(decode(new Reader(bytes, name)), w);
    return w.finish();
  };
  fuzzTarget({
    name,
    examples: hexes.map(fromHex),
    weight: 0.5,
    run(bytes) {
      const written = rewrite(bytes);
      assert.deepEqual(rewrite(written), written, "what was written reads the same");
    },
  });
}

const credentials = (type: string) =>
  vl2.credentials.filter((it) => it.type === type).map(({ hex }) => hex);
pairTarget("certificate of membership", credentials("com"), decodeCom, encodeCom);
pairTarget("tag", credentials("tag"), decodeTag, encodeTag);
pairTarget("capability", credentials("capability"), decodeCapability, encodeCapability);
pairTarget("certificate of ownership", credentials("coo"), decodeOwnership, encodeOwnership);
pairTarget("revocation", credentials("revocation"), decodeRevocation, encodeRevocation);
pairTarget("world", worlds.map(({ hex }) => hex), decodeWorld, encodeWorld);
pairTarget(
  "identity, binary",
  identities.binary.map(({ hex }) => hex),
  (r) => Identity.decode(r),
  (identity, w) => identity.encode(w),
);
pairTarget(
  "endpoint",
  ["00", "04010203042709", "0620010db80000000000000000000000012709", "0300020102"],
  decodeEndpoint,
  (endpoint, w) => encodeEndpoint(w, endpoint),
);

fuzzTarget({
  name: "texts: identity, endpoint, address, moon template",
  examples: [
    ...identities.text.map(({ string }) => utf8(string)),
    utf8("192.168.0.1/9993"),
    utf8("fe80::1/64"),
    utf8('{"id":"1fa497a828","objtype":"world","roots":[{"identity":"x","stableEndpoints":[]}]}'),
  ],
  run(bytes) {
    const string = text(bytes);
    parseIp(string);
    parseEndpoint(string);
    tolerate(() => parseWorldTemplate(string));
    const identity = Identity.parse(string);
    assert.ok(Identity.parse(identity.format()).equals(identity));
  },
});

/** A file's text may be refused in words of its own. */
function tolerate(run: () => void): void {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof Error);
    assert.ok(!(error instanceof RangeError && /stack|invalid array/i.test(error.message)));
  }
}

const dictionaries = [
  ...vl2.dictionary.flatMap(({ encodedHex, rawText }) =>
    encodedHex !== undefined ? [fromHex(encodedHex)] : rawText !== undefined ? [utf8(rawText)] : []
  ),
  fromHex(vl2.networkConfig.dictionaryHex),
];

fuzzTarget({
  name: "dictionary",
  examples: dictionaries,
  run(bytes) {
    const d = Dictionary.decode(bytes);
    for (const key of ["v", "nwid", "C", "R", "a", ""]) {
      d.get(key);
      d.getText(key);
      d.getUint(key);
      d.getNumber(key);
    }
    decodeRequestMetadata(bytes);
  },
});

const networkConfig = fromHex(vl2.networkConfig.dictionaryHex);
const names: NameList = {
  hash: 5n,
  onDemand: true,
  members: [
    { address: 0x19810bb6a3 as Address, label: "laptop", ips: ["10.0.0.1", "fd00::1"].map(ip) },
    { address: 0xcab3262c6a as Address, label: "cab3262c6a", ips: [] },
  ],
};

function ip(text: string): Uint8Array {
  return parseIp(text)!;
}

fuzzTarget({
  name: "member names",
  examples: [encodeNames(names.members!, true)],
  weight: 0.5,
  run(bytes) {
    const { members, onDemand } = decodeNames(bytes);
    assert.deepEqual(decodeNames(encodeNames(members, onDemand)), { members, onDemand });
  },
});

fuzzTarget({
  name: "network configuration",
  examples: [
    networkConfig,
    encodeNetworkConfig({ ...decodeNetworkConfig(networkConfig), names }),
  ],
  weight: 2,
  run(bytes) {
    const written = encodeNetworkConfig(decodeNetworkConfig(bytes));
    assert.deepEqual(encodeNetworkConfig(decodeNetworkConfig(written)), written);
  },
});

const ruleLists = rules.flatMap(({ rulesHex }) => rulesHex ? [fromHex(rulesHex)] : []);

fuzzTarget({
  name: "rules",
  examples: ruleLists,
  weight: 0.5,
  run(bytes) {
    const rewrite = (bytes: Uint8Array) => {
      const w = new Writer();
      encodeRules(decodeRules(bytes), w);
      return w.finish();
    };
    const written = rewrite(bytes);
    assert.deepEqual(rewrite(written), written);
  },
});

const frames = payloads
  .filter(({ verb }) => verb === Verb.FRAME || verb === Verb.EXT_FRAME)
  .map(({ payload }) => payload.subarray(8));

fuzzTarget({
  name: "rules on frames",
  examples: [...ruleLists, ...frames],
  run(bytes, rng) {
    const list = rng.pick(ruleLists);
    const filter = new NetworkFilter({
      address: 0x5811208aac as never,
      networkId: network,
      flags: rng.below(16),
      timestampMs: 1_000,
      credentialWindowMs: 1_000,
      rules: decodeRules(rng.chance(0.5) ? bytes : list),
      tags: [{ id: 1_000, value: 300 }],
      capabilities: [{ id: 1, rules: decodeRules(list) }],
      ownerships: [],
      staticIps: [],
    }, () => rng.u32());
    for (const frame of [bytes, rng.bytes(rng.below(80)), ...frames]) {
      const etherType = rng.pick([0x0800, 0x86dd, 0x0806, 0x8100, 0]);
      filter.frame.load(frame, 0, frame.length, etherType);
      filter.frame.setMacs(0x025811169240 as never, 0x02b3e8f2f938 as never);
      filter.outbound(filter.peer(0xb3e8c4e1ab as never), true);
      filter.inbound(filter.peer(0xb3e8c4e1ab as never));
    }
  },
});

fuzzTarget({
  name: "ethernet frames and neighbour discovery",
  examples: [new Uint8Array(14), ...frames],
  weight: 0.5,
  run(bytes) {
    const frame = parseFrame(bytes);
    const ip = parseIp("fd00::1")!;
    const staticIps = [{ ip, bits: 88 }, { ip, bits: 40 }];
    if (frame) emulateNdp({ networkId: network, self: 1 as never, staticIps }, frame);
  },
});

fuzzTarget({
  name: "LZ4",
  examples: [...dictionaries, ...payloads.map(({ payload }) => payload)].flatMap((bytes) => {
    const packed = compress(bytes);
    return packed ? [packed] : [];
  }),
  run(bytes) {
    for (const max of [0, 1, 100, 10_000]) {
      const unpacked = decompress(bytes, max);
      assert.ok(!unpacked || unpacked.length <= max, "never longer than asked for");
    }
    const packed = compress(bytes);
    if (!packed) return;
    assert.ok(packed.length < bytes.length, "compressed is shorter");
    assert.deepEqual(decompress(packed, bytes.length), bytes);
    assert.equal(decompress(packed, bytes.length - 1), undefined);
  },
});

const datagrams = packetVectors.packets.flatMap((vector) => vector.datagrams.map(fromHex));
const reassembler = new Reassembler();
let clockMs = 0;

fuzzTarget({
  name: "fragments",
  examples: datagrams,
  run(bytes, rng) {
    for (
      const datagram of [bytes, rng.pick(datagrams), bytes.slice(0, rng.below(bytes.length + 1))]
    ) {
      if (datagram.length <= 16) continue;
      const path = `path ${rng.below(2_000)}`;
      const whole = reassembler.add(path, datagram, clockMs += rng.below(50));
      assert.ok(!whole || whole.packet.length <= 10_024);
    }
  },
});

const keys = deriveSessionKeys(noblePrimitives, new Uint8Array(48).fill(7));
const kernel = new Armor(new PacketKernel());
const twin = new Armor(new PacketTwin());

fuzzTarget({
  name: "armor",
  examples: datagrams,
  run(bytes, rng) {
    describeHeader(bytes.length < HEADER_LENGTH ? new Uint8Array(HEADER_LENGTH) : bytes);
    assert.equal(kernel.open(bytes.slice(), keys), false, "nobody has this key");
    if (bytes.length < HEADER_LENGTH) return;
    bytes[18] &= 0x40;
    const cipher = rng.pick([0, 1, 3] as const);
    const sealed = bytes.slice();
    kernel.seal(sealed, keys, cipher);
    const twinned = bytes.slice();
    twin.seal(twinned, keys, cipher);
    assert.deepEqual(sealed, twinned, "the kernel does what its twin does");
    const forged = sealed.slice();
    forged[rng.below(forged.length)] ^= 1 << rng.below(8);
    const open = (packet: Uint8Array) => kernel.open(packet, keys);
    assert.ok(open(sealed));
    // Hops are not authenticated, nor is the fragmented flag of Salsa20/12.
    const isFree = forged.every((byte, i) => i === 18 || byte === twinned[i]);
    if (!isFree) assert.ok(!open(forged), "one bit makes it another's");
  },
});

const cached = encodeCachedPeer({
  identity: Identity.decode(new Reader(fromHex(identities.binary[0].hex), "identity")),
  version: { protocol: 11, major: 1, minor: 14, revision: 1 },
  endpoints: [parseEndpoint("1.2.3.4/5")!, parseEndpoint("fd00::1/9993")!],
});

fuzzTarget({
  name: "peer cache",
  examples: [cached],
  weight: 0.5,
  run(bytes) {
    const peer = decodeCachedPeer(bytes);
    if (peer) assert.ok(decodeCachedPeer(encodeCachedPeer(peer)));
  },
});

fuzzTarget({
  name: "beacon",
  examples: [new Uint8Array(13)],
  weight: 0.2,
  run: (bytes) => void decodeBeacon(bytes),
});

const assembler = new ConfigAssembler();

fuzzTarget({
  name: "chunks of a configuration",
  examples: payloads.filter(({ verb }) => verb === Verb.NETWORK_CONFIG).map(({ payload }) =>
    payload
  ),
  run(bytes, rng) {
    const networkId = network;
    const totalLength = rng.pick([bytes.length, bytes.length * 2, 1, 0, 0xffff_ffff]);
    const chunk = {
      kind: "signed" as const,
      networkId,
      piece: bytes,
      fastPropagate: false,
      updateId: BigInt(rng.below(5)),
      totalLength,
      offset: rng.pick([0, bytes.length, totalLength, 0xffff_ffff]),
      signature: rng.chance(0.9) ? new Uint8Array(96) : undefined,
      signedPart: bytes,
      bytes,
    };
    const source = { fromController: rng.chance(0.5), packetId: BigInt(rng.u32()) };
    assembler.add(chunk, () => rng.chance(0.9), source);
  },
});
