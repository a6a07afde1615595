/** A list of names that is not sent again is the one held. @module */
import assert from "node:assert/strict";
import type { NetworkId } from "../../../../lib/base/ids.ts";
import type { NameList } from "../../../../lib/credential/member_names.ts";
import {
  decodeNetworkConfig,
  EMPTY_CONFIG,
  encodeNetworkConfig,
} from "../../../../lib/credential/network_config.ts";
import { decodeRequestMetadata } from "../../../../lib/credential/request_metadata.ts";
import { Network } from "../../../../lib/network/network.ts";
import { actionsOf, ALICE, vl1Of } from "../node/harness.ts";

const NETWORK = (BigInt(ALICE.address) << 24n | 7n) as NetworkId; // its own controller: asks without packets

function networkThat(wantsNames: boolean) {
  const vl1 = vl1Of(ALICE, { settings: { wantsNames: () => wantsNames } });
  return { vl1, network: new Network(vl1, NETWORK) };
}

function names(label: string, hash: bigint): NameList {
  return { hash, onDemand: true, members: [{ address: ALICE.address, label, ips: [] }] };
}

function dictionary(names: NameList | undefined, timestampMs = 1): Uint8Array {
  const ids = { networkId: NETWORK, issuedTo: ALICE.address };
  return encodeNetworkConfig({ ...EMPTY_CONFIG, ...ids, timestampMs, names });
}

/** What a request says it holds. */
function saidHeld(network: Network): bigint | undefined {
  let said: Uint8Array | undefined;
  network.request((metadata) => said = metadata);
  return decodeRequestMetadata(said!).namesHeld;
}

Deno.test("Network asks for names only when they are wanted, and says which it holds", () => {
  const { network } = networkThat(true);
  assert.equal(saidHeld(network), 0n);
  network.takeDictionary(dictionary(names("nas", 5n)), "answer");
  assert.equal(saidHeld(network), 5n);
  const { network: other } = networkThat(false);
  other.takeDictionary(dictionary(names("nas", 5n)), "answer");
  assert.equal(saidHeld(other), undefined);
});

Deno.test("Network keeps the names it holds when told that they stand, also for the next run", () => {
  const { vl1, network } = networkThat(true);
  network.takeDictionary(dictionary(names("nas", 5n)), "answer");
  actionsOf(vl1.outbox);
  network.takeDictionary(dictionary({ ...names("", 5n), members: undefined }, 2), "answer");
  assert.deepEqual(network.port().names, names("nas", 5n));
  const [action, ...others] = actionsOf(vl1.outbox);
  assert.equal(others.length, 0, "nothing changed");
  assert.ok(action.kind === "persist" && action.record.what === "network");
  const kept = decodeNetworkConfig(action.record.bytes!);
  assert.deepEqual([kept.timestampMs, kept.names], [2, names("nas", 5n)]);
});

Deno.test("Network reconfigures its port when names change", () => {
  const { vl1, network } = networkThat(true);
  network.takeDictionary(dictionary(names("nas", 5n)), "answer");
  actionsOf(vl1.outbox);
  network.takeDictionary(dictionary(names("laptop", 6n)), "answer");
  assert.ok(actionsOf(vl1.outbox).some(({ kind }) => kind === "configure"));
  assert.equal(network.port().names!.members![0].label, "laptop");
});

Deno.test("Network keeps its names until those announced come, and asks again soon if they do not", () => {
  const { vl1, network } = networkThat(true);
  const announced = dictionary({ ...names("", 9n), members: undefined });
  const dueInMs = () => network.requestDueMs - vl1.nowMs;
  network.takeDictionary(announced, "answer");
  assert.deepEqual([network.port().names, dueInMs()], [undefined, 5_000]);
  network.takeDictionary(dictionary(names("nas", 5n)), "push");
  assert.equal(dueInMs(), 60_000);
  network.takeDictionary(announced, "answer");
  assert.deepEqual([network.port().names, dueInMs()], [names("nas", 5n), 5_000]);
  assert.equal(saidHeld(network), 5n);
  network.takeDictionary(dictionary(names("disk", 9n)), "answer");
  assert.deepEqual([network.port().names, dueInMs()], [names("disk", 9n), 60_000]);
});
