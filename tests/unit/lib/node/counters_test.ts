/** What a node counts of packets that leave and come. @module */
import assert from "node:assert/strict";
import { parseEndpoint } from "../../../../lib/base/ip.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { defaultPlanet } from "../../../../lib/identity/default_planet.ts";
import { Identity } from "../../../../lib/identity/identity.ts";
import { PacketKernel } from "../../../../lib/kernel/mod.ts";
import type { NodeSettings } from "../../../../lib/node/machine.ts";
import { Node } from "../../../../lib/node/node.ts";
import { Cipher, Verb } from "../../../../lib/wire/packet.ts";
import type { IdentityVectors } from "../../../vectors/identity.ts";
import { loadVectors } from "../../../vectors/load.ts";

const [first, second] = loadVectors<IdentityVectors>("identity.json").identities;
const PROTOCOL_WITH_AES = 12;

function makeNode(secret: string, cipher: NodeSettings["cipher"]): Node {
  let next = 1;
  return new Node({
    identity: Identity.parse(secret),
    planet: defaultPlanet(),
    primitives: noblePrimitives,
    random: (bytes) => void bytes.fill(next++),
    kernel: new PacketKernel(),
    settings: { cipher },
  });
}

/** Sends one ECHO of that many bytes from one node to another. */
function sendEcho(cipher: NodeSettings["cipher"], lengthBytes: number): [Node, Node] {
  const from = makeNode(first.secret, cipher);
  const to = makeNode(second.secret, cipher);
  const peer = from.vl1.addPeer(to.vl1.identity)!;
  to.vl1.addPeer(from.vl1.identity);
  peer.version = { protocol: PROTOCOL_WITH_AES, major: 1, minor: 14, revision: 1 };
  const path = from.vl1.paths.get(1, parseEndpoint("192.0.2.2/9993")!);
  from.vl1.paths.keep(path);
  from.vl1.transmit(peer, path, Verb.ECHO, new Uint8Array(lengthBytes), {});
  const at = parseEndpoint("192.0.2.1/9993")!;
  for (let action = from.poll(); action; action = from.poll()) {
    if (action.kind !== "send") continue;
    to.handle({ kind: "datagram", socket: 1, from: at, bytes: action.bytes }, {
      nowMs: 1,
      wallMs: 1,
    });
  }
  return [from, to];
}

Deno.test("Counters count packets by the cipher they are sealed with, at both ends", () => {
  for (
    const [setting, cipher] of [
      ["salsa", Cipher.POLY1305_SALSA2012],
      ["aes", Cipher.AES_GMAC_SIV],
    ] as const
  ) {
    const [from, to] = sendEcho(setting, 100);
    const expected = new Float64Array(8);
    expected[cipher] = 1;
    assert.deepEqual(from.vl1.counters.sentByCipher, expected);
    assert.deepEqual(to.vl1.counters.receivedByCipher, expected);
  }
});
