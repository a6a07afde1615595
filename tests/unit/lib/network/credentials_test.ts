/** What those who are no members can make of the credentials they bring. @module */
import assert from "node:assert/strict";
import { Writer } from "../../../../lib/base/bytes.ts";
import type { Address, Mac, NetworkId } from "../../../../lib/base/ids.ts";
import {
  type CertificateOfMembership,
  issueCom,
} from "../../../../lib/credential/certificate_of_membership.ts";
import { chunkSignedPart, encodeChunk } from "../../../../lib/credential/config_chunk.ts";
import { EMPTY_CONFIG } from "../../../../lib/credential/network_config.ts";
import { CredentialType, signRevocation } from "../../../../lib/credential/revocation.ts";
import { signTag } from "../../../../lib/credential/tag.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import type { Identity } from "../../../../lib/identity/identity.ts";
import { sign } from "../../../../lib/identity/sign.ts";
import type { Node } from "../../../../lib/node/node.ts";
import { encodeExtFrame } from "../../../../lib/wire/ext_frame.ts";
import { encodeNetworkCredentials } from "../../../../lib/wire/network_credentials.ts";
import { Verb } from "../../../../lib/wire/packet.ts";
import { ALICE, Bench, BOB, CAROL, identityOf, ROOT } from "../node/harness.ts";

const NETWORK = (BigInt(CAROL.address) << 24n | 7n) as NetworkId;
const NOTHING = { coms: [], capabilities: [], tags: [], revocations: [], ownerships: [] };

/** A certificate of somebody's, which says the controller signed it. */
function comOf(signer: Identity, member: Identity, timestampMs: number): CertificateOfMembership {
  const fields = { networkId: NETWORK, timestampMs, maxDeltaMs: 1_000_000, member };
  return { ...issueCom(noblePrimitives, signer, fields), signedBy: CAROL.address };
}

/** Alice on a network of Carol's, how many signatures she checked, and Bob, whom she only knows. */
function scene() {
  let checked = 0;
  const primitives = {
    ...noblePrimitives,
    ed25519Verify() {
      checked++;
      return false;
    },
  };
  const bench = new Bench();
  bench.add(ROOT);
  const alice = bench.add(ALICE, { primitives });
  const bob = bench.add(BOB);
  bench.hand(alice, { kind: "command", command: { kind: "join", network: NETWORK } });
  alice.networks.find(NETWORK)!.apply({
    ...EMPTY_CONFIG,
    networkId: NETWORK,
    issuedTo: ALICE.address,
    com: comOf(CAROL, ALICE, 1),
  });
  alice.vl1.addPeer(CAROL.publicOnly());
  bench.run(100);
  const send = (verb: Verb, write: (w: Writer) => void) => {
    const w = new Writer();
    write(w);
    bob.vl1.send(ALICE.address, verb, w.finish());
    bench.hand(bob, { kind: "timeout" });
  };
  send(Verb.NOP, () => {});
  bench.run(1_000);
  assert.ok(alice.vl1.peers.has(BOB.address));
  return { bench, alice, send, checks: () => checked };
}

function membersOf(alice: Node): Address[] {
  return [...alice.networks.find(NETWORK)!.members()];
}

Deno.test("Credentials make no record of whom nobody signed for", () => {
  const { alice, send } = scene();
  const before = membersOf(alice);
  const coms = [1, 2, 3].map((i) => comOf(BOB, identityOf(0x5000000000 + i), i));
  send(Verb.NETWORK_CREDENTIALS, (w) => encodeNetworkCredentials({ ...NOTHING, coms }, w));
  const others = membersOf(alice).filter((address) => !before.includes(address));
  assert.deepEqual(others.filter((address) => address !== BOB.address), []);
});

Deno.test("Credentials and configurations of one peer cost so many checks, and no more", () => {
  const frame = {
    networkId: NETWORK,
    subtype: 0,
    acknowledge: false,
    com: comOf(BOB, BOB, 5),
    destination: 1 as Mac,
    source: 2 as Mac,
    etherType: 0x800,
    frame: new Uint8Array(60),
  };
  const chunk = {
    networkId: NETWORK,
    piece: new Uint8Array(8),
    fastPropagate: false,
    updateId: 7n,
    totalLength: 100,
    offset: 0,
  };
  const signature = sign(noblePrimitives, BOB, chunkSignedPart(chunk));
  const ways: [Verb, (w: Writer) => void][] = [
    [Verb.EXT_FRAME, (w) => encodeExtFrame(frame, w)],
    [Verb.NETWORK_CONFIG, (w) => encodeChunk(chunk, signature, w)],
  ];
  for (const [verb, write] of ways) {
    const { bench, send, checks } = scene();
    for (let i = 0; i < 1_000; i++) send(verb, write);
    assert.ok(checks() > 100 && checks() < 600, `${checks()} checks of ${verb}`);
    const before = checks();
    bench.run(2_000);
    for (let i = 0; i < 100; i++) send(verb, write);
    assert.ok(checks() > before && checks() < before + 20);
  }
});

Deno.test("Credentials checks all that a network's controller says: it may remove hundreds at once", () => {
  const { alice, checks } = scene();
  const controller = alice.vl1.peers.get(CAROL.address)!;
  const revocations = Array.from({ length: 600 }, (_, i) =>
    signRevocation(noblePrimitives, CAROL, {
      id: i,
      networkId: NETWORK,
      type: CredentialType.COM,
      credentialId: 0,
      thresholdMs: 5,
      flags: 1n,
      target: (0x5000000000 + i) as Address,
    }));
  alice.networks.credentials.receive(controller, { ...NOTHING, revocations, complete: true });
  assert.equal(checks(), 600);
});

Deno.test("Credentials.requested() answers who asks once a second, though it comes a moment early", () => {
  const { bench, alice } = scene();
  const network = alice.networks.find(NETWORK)!;
  const answers: number[] = [];
  for (const afterMs of [0, 500, 490, 500, 490]) {
    bench.run(afterMs);
    bench.hand(alice, { kind: "timeout" });
    const before = alice.vl1.counters.sent[Verb.NETWORK_CREDENTIALS];
    alice.networks.credentials.requested(network, BOB.address);
    answers.push(alice.vl1.counters.sent[Verb.NETWORK_CREDENTIALS] - before);
  }
  assert.deepEqual(answers, [1, 0, 1, 0, 1]);
});

Deno.test("Credentials.pushIfDue() tells once more, two seconds later, what is new in our role", () => {
  const { bench, alice } = scene();
  const network = alice.networks.find(NETWORK)!;
  const sentAt = () => {
    const startMs = bench.nowMs;
    const times: number[] = [];
    while (bench.nowMs < startMs + 10_000) {
      const before = alice.vl1.counters.sent[Verb.NETWORK_CREDENTIALS];
      alice.networks.credentials.pushIfDue(network, BOB.address);
      if (alice.vl1.counters.sent[Verb.NETWORK_CREDENTIALS] > before) {
        times.push(bench.nowMs - startMs);
      }
      bench.run(500);
      bench.hand(alice, { kind: "timeout" });
    }
    return times;
  };
  const tag = (value: number, timestampMs: number) => {
    const fields = { networkId: NETWORK, timestampMs, id: 7, value, issuedTo: ALICE.address };
    return signTag(noblePrimitives, CAROL, fields);
  };
  assert.deepEqual(sentAt(), [0, 2_000], "at first");
  const changes = [
    { value: 1, timestampMs: 1, wanted: [0, 2_000] },
    { value: 1, timestampMs: 2, wanted: [0] },
    { value: 2, timestampMs: 3, wanted: [0, 2_000] },
  ];
  for (const { value, timestampMs, wanted } of changes) {
    network.apply({ ...network.config!, tags: [tag(value, timestampMs)] });
    assert.deepEqual(sentAt(), wanted, `tag ${value} of ${timestampMs}`);
  }
});
