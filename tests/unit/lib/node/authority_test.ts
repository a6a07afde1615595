import assert from "node:assert/strict";
import type { NetworkId } from "../../../../lib/base/ids.ts";
import type { ControllerAction } from "../../../../lib/controller/machine.ts";
import { Writer } from "../../../../lib/base/bytes.ts";
import { adHocConfig } from "../../../../lib/credential/ad_hoc.ts";
import {
  CredentialType,
  revocationFlags,
  signRevocation,
} from "../../../../lib/credential/revocation.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { ControllerAuthority } from "../../../../lib/node/authority.ts";
import type { Received } from "../../../../lib/node/node.ts";
import { Networks } from "../../../../lib/network/networks.ts";
import { decodeNetworkConfig, encodeOkNetworkConfig } from "../../../../lib/wire/network_config.ts";
import { ErrorCode, Verb } from "../../../../lib/wire/packet.ts";
import { ALICE, BOB, CAROL, peerWithPath, sentBy, vl1Of } from "./harness.ts";

const NETWORK = (BigInt(ALICE.address) << 24n | 1n) as NetworkId;
const OTHER = (NETWORK + 1n) as NetworkId;

/** Alice is a controller; Bob and Carol are members. */
function scene() {
  const vl1 = vl1Of(ALICE);
  for (const identity of [BOB, CAROL]) peerWithPath(vl1, identity);
  const decided: ControllerAction[] = [];
  const authority = new ControllerAuthority(vl1, new Networks(vl1), {
    handle() {},
    poll: () => decided.shift(),
    deadlineMs: Infinity,
  });
  const decide = (...actions: ControllerAction[]) => {
    decided.push(...actions);
    authority.handle({ kind: "timeout" });
  };
  return { vl1, authority, decide };
}

function revocation(network: NetworkId): ControllerAction {
  const revoked = signRevocation(noblePrimitives, ALICE, {
    id: 1,
    networkId: network,
    type: CredentialType.COM,
    credentialId: 0,
    thresholdMs: 5,
    flags: revocationFlags(false),
    target: 0x1234567890 as never,
  });
  return { kind: "revoke", network, to: [BOB.address, CAROL.address], revocations: [revoked] };
}

/** When Bob is sent how many packets, while ten seconds pass. */
function sentToBob({ vl1, authority }: ReturnType<typeof scene>): string[] {
  const startMs = vl1.nowMs;
  const seen: string[] = [];
  const note = () => {
    const count = sentBy(vl1).filter(({ destination }) => destination === BOB.address).length;
    if (count > 0) seen.push(`${count} after ${vl1.nowMs - startMs} ms`);
  };
  note();
  while (authority.deadlineMs <= startMs + 10_000) {
    vl1.time.nowMs = authority.deadlineMs;
    authority.handle({ kind: "timeout" });
    note();
  }
  return seen;
}

Deno.test("ControllerAuthority sends a revocation as often as the controller says so", () => {
  const all = scene();
  all.decide(revocation(NETWORK), revocation(OTHER));
  assert.deepEqual(sentToBob(all), ["2 after 0 ms"]);
  assert.equal(all.authority.deadlineMs, Infinity);
});

Deno.test("ControllerAuthority leaves out names that no configuration has room for", () => {
  const config = adHocConfig(0xff0000ffff000000n as NetworkId, BOB.address, 1_000);
  assert.ok(config && config !== "invalid-range");
  const ips = Array.from({ length: 32 }, () => new Uint8Array(16)); // each zero is written as two bytes
  const members = Array.from({ length: 500 }, () => ({ address: BOB.address, label: "bob", ips }));
  const names = { hash: 1n, onDemand: false, members };
  const full = scene();
  const push = { kind: "config", to: BOB.address, network: NETWORK } as const;
  full.decide({ ...push, config: { ...config, names }, requestId: undefined });
  const plain = scene();
  plain.decide({ ...push, config, requestId: undefined });
  assert.equal(sentBy(full.vl1).length, sentBy(plain.vl1).length);
});

Deno.test("ControllerAuthority repeats a pushed configuration until the member acknowledges it", () => {
  const config = adHocConfig(0xff0000ffff000000n as NetworkId, BOB.address, 1_000);
  assert.ok(config && config !== "invalid-range");
  const push = { kind: "config", to: BOB.address, network: NETWORK, config } as const;
  const lost = scene();
  lost.decide({ ...push, requestId: undefined });
  const all = ["1 after 0 ms", "1 after 1000 ms", "1 after 3000 ms", "1 after 8000 ms"];
  assert.deepEqual(sentToBob(lost), all);
  const taken = scene();
  taken.decide({ ...push, requestId: undefined });
  const [older, other] = [updateIdTo(taken), 1n];
  taken.decide({ ...push, requestId: undefined });
  const newer = updateIdTo(taken);
  taken.authority.acknowledged(OTHER, BOB.address, newer);
  taken.authority.acknowledged(NETWORK, CAROL.address, newer);
  for (const id of [older, other]) taken.authority.acknowledged(NETWORK, BOB.address, id);
  assert.deepEqual(sentToBob(taken).length, 3, "the newer one is not acknowledged by any of these");
  taken.decide({ ...push, requestId: undefined });
  taken.authority.acknowledged(NETWORK, BOB.address, updateIdTo(taken));
  assert.deepEqual(sentToBob(taken), []);
  const asked = scene();
  asked.decide({ ...push, requestId: undefined }, { ...push, requestId: 7n });
  assert.deepEqual(sentToBob(asked), ["2 after 0 ms"], "who asks gets the same anew");
});

Deno.test("ControllerAuthority repeats no configuration to who is refused meanwhile", () => {
  const all = scene();
  const config = adHocConfig(0xff0000ffff000000n as NetworkId, BOB.address, 1_000);
  assert.ok(config && config !== "invalid-range");
  const to = { to: BOB.address, network: NETWORK };
  all.decide(
    { kind: "config", ...to, config, requestId: undefined },
    { kind: "refuse", ...to, requestId: 7n, code: ErrorCode.NETWORK_ACCESS_DENIED },
  );
  assert.deepEqual(sentToBob(all), ["2 after 0 ms"]);
});

/** The id of the update Bob is being sent. */
function updateIdTo({ vl1 }: ReturnType<typeof scene>): bigint {
  const [{ payload }] = sentBy(vl1).filter(({ destination }) => destination === BOB.address);
  const chunk = decodeNetworkConfig(payload);
  assert.ok(chunk.kind === "signed");
  return chunk.updateId;
}

Deno.test("a member acknowledges what it was pushed, and the controller takes it", () => {
  const vl1 = vl1Of(ALICE);
  const bob = peerWithPath(vl1, BOB);
  const networks = new Networks(vl1);
  const settled: unknown[] = [];
  networks.authority = {
    request() {},
    seen() {},
    acknowledged: (...what) => settled.push(what),
  };
  const w = new Writer();
  encodeOkNetworkConfig({ networkId: NETWORK, updateId: 9n }, w);
  const received = { peer: bob, path: bob.paths[0].path, hops: 0, id: 1n } as Received;
  const ok = { inReVerb: Verb.ECHO, inRePacketId: 1n };
  networks.verbs.handleOk(received, { ...ok, body: w.finish() });
  networks.verbs.handleOk(received, { ...ok, inReVerb: Verb.NETWORK_CONFIG, body: w.finish() });
  networks.verbs.handleOk(received, { ...ok, body: new Uint8Array(0) });
  assert.deepEqual(settled, [[NETWORK, BOB.address, 9n], [NETWORK, BOB.address, 9n]]);
});
