/**
 * Whole nodes against bytes gone wrong: nothing may come out of `Node.handle()`, and memory stays bounded.
 * @module
 */
import { concat, fromHex, Reader, utf8 } from "../../lib/base/bytes.ts";
import { encodeNetworkConfig } from "../../lib/credential/network_config.ts";
import { Identity } from "../../lib/identity/identity.ts";
import type { Action, Input } from "../../lib/node/machine.ts";
import { Node } from "../../lib/node/node.ts";
import { destinationOf, sourceOf, verbOf } from "../../lib/wire/packet.ts";
import { decodeWorld } from "../../lib/identity/world.ts";
import { machinePrimitives } from "../../cli/engine/primitives.ts";
import { Rng } from "../sim/rng.ts";
import { configOf, endpoint } from "../unit/lib/node/harness.ts";
import { HAND_MADE } from "../unit/lib/wire/round_trips.ts";
import { loadVectors } from "../vectors/load.ts";
import { packetVectors, payloadOf } from "../vectors/packets.ts";
import { fuzzTarget } from "./target.ts";
import { type AttackerRole, Extra, goodConfig, Victim } from "./victim.ts";

const vl2 = loadVectors<{
  credentials: { type: string; hex: string }[];
  networkConfig: { dictionaryHex: string };
}>("vl2.json");
const worlds = loadVectors<{ worlds: { hex: string }[] }>("world.json").worlds;

const of = (kind: number, payload: Uint8Array) => concat(Uint8Array.of(kind), payload);
const captured = packetVectors.packets.map((vector) =>
  of(verbOf(fromHex(vector.plaintext)), payloadOf(vector))
);
const examples = [
  ...captured,
  ...HAND_MADE.map(({ verb, payload }) => of(verb, payload)),
  of(Extra.SIGNED_CONFIG, fromHex(vl2.networkConfig.dictionaryHex)),
  of(Extra.SIGNED_CONFIG, encodeNetworkConfig(goodConfig())),
  of(Extra.JOIN, fromHex(vl2.networkConfig.dictionaryHex)),
  of(
    Extra.FRAME,
    fromHex("ffffffffffff0203040506070806000108000604000102030405060700000000000000000a090002"),
  ),
  of(Extra.FRAME, fromHex("3333ff0000010203040506070086dd6000000000203aff")),
  ...vl2.credentials.filter(({ type }) => type === "com").map(({ hex }) =>
    of(Extra.SIGNED_COM, fromHex(hex))
  ),
  ...worlds.map(({ hex }) => of(Extra.SIGNED_WORLD, fromHex(hex))),
];

const INPUTS_PER_VICTIM = 5_000; // then it starts anew, so that what happens at first is tried again

/** A victim that is replaced now and then. */
function attackTarget(name: string, make: () => Victim, more: Uint8Array[] = []): void {
  let victim: Victim | undefined;
  let inputs = 0;
  fuzzTarget({
    name,
    examples: [...examples, ...more],
    weight: 2,
    stateful: true,
    run(bytes, rng) {
      if (!victim || inputs++ % INPUTS_PER_VICTIM === 0) victim = make();
      victim.attack(bytes, rng);
    },
  });
}

for (const role of ["peer", "root", "controller"] satisfies AttackerRole[]) {
  attackTarget(`a node, attacked by a ${role} that holds a key`, () => new Victim(role));
}
attackTarget("a root, attacked by a peer that holds a key", () => new Victim("peer", true));
attackTarget(
  "a controller, attacked by a peer that holds a key",
  () => new Victim("peer", false, true),
  [
    of(Extra.API, utf8('{"authorized":true,"ipAssignments":["10.0.0.1"]}')),
    of(
      Extra.API,
      utf8('{"private":true,"rules":[{"type":"ACTION_ACCEPT"}],"v4AssignMode":{"zt":true}}'),
    ),
  ],
);

let bystander: Victim | undefined;

fuzzTarget({
  name: "a node, and datagrams of any bytes",
  examples: packetVectors.packets.flatMap((vector) => vector.datagrams.map(fromHex)),
  weight: 2,
  stateful: true,
  run(bytes, rng) {
    bystander ??= new Victim("peer");
    if (bytes.length > 18 && rng.chance(0.7)) putAddress(bytes, 8, bystander.node.address);
    const from = endpoint(`44.${rng.below(4)}.0.${rng.below(256)}/${1 + rng.below(9_000)}`);
    bystander.datagram(bytes, from);
    bystander.nowMs += rng.below(20);
    if (bystander.node.deadlineMs <= bystander.nowMs) bystander.hand({ kind: "timeout" });
  },
});

function putAddress(bytes: Uint8Array, at: number, address: number): void {
  for (let i = 0; i < 5; i++) bytes[at + i] = Math.floor(address / 256 ** (4 - i)) % 256;
}

// --- the captures, at the nodes they were captured at

const [root, a, b] = ["root", "a", "b"].map((name) =>
  Identity.parse(packetVectors.identities[name].secret)
);

/** The three nodes of the captures, each knowing the others, so that what is captured authenticates. */
function capturedNodes(): Map<number, Node> {
  const planet = decodeWorld(new Reader(fromHex(packetVectors.planets.older), "planet"));
  return new Map([root, a, b].map((identity) => {
    const node = new Node(configOf(identity, { planet, primitives: machinePrimitives }));
    for (const other of [root, a, b]) {
      if (other !== identity) node.vl1.addPeer(other.publicOnly());
    }
    const network = BigInt(`0x${packetVectors.network.id}`) as never;
    const ip = endpoint("10.77.0.1/9993").ip;
    const sockets = [{ id: 1, ip, port: 9993 }];
    hand(node, { kind: "links", sockets, own: [] }, 1_000);
    hand(node, { kind: "command", command: { kind: "join", network } }, 1_000);
    return [identity.address, node];
  }));
}

function hand(node: Node, input: Input, nowMs: number): void {
  node.handle(input, { nowMs, wallMs: 1_700_000_000_000 + nowMs });
  const later: (Action & { kind: "validate" })[] = [];
  for (let action = node.poll(); action; action = node.poll()) {
    if (action.kind === "validate") later.push(action);
  }
  for (const { ticket } of later) hand(node, { kind: "validated", ticket, valid: true }, nowMs);
}

let nodes = capturedNodes();
let nowMs = 1_000;
let tried = 0;
const strangers = new Rng("strangers");

fuzzTarget({
  name: "captured packets gone wrong",
  examples: packetVectors.packets.flatMap((vector) => vector.datagrams.map(fromHex)),
  weight: 2,
  stateful: true,
  run(bytes, rng) {
    if (tried++ % INPUTS_PER_VICTIM === 0) nodes = capturedNodes();
    nowMs += rng.below(100);
    const node = (bytes.length >= 28 && nodes.get(destinationOf(bytes))) || nodes.get(a.address)!;
    const isKnown = bytes.length >= 28 && nodes.has(sourceOf(bytes));
    const from = isKnown
      ? endpoint("10.77.0.2/9993")
      : endpoint(`10.77.0.${strangers.below(256)}/9993`);
    hand(node, { kind: "datagram", socket: 1, from, bytes }, nowMs);
    if (node.deadlineMs <= nowMs) hand(node, { kind: "timeout" }, nowMs);
  },
});
