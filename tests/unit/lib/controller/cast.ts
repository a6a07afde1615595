/**
 * One network and two nodes, the cast of the controller's tests.
 * @module
 */
import assert from "node:assert/strict";
import {
  decodeNetworkConfig,
  encodeNetworkConfig,
  type NetworkConfig,
} from "../../../../lib/credential/network_config.ts";
import type { Identity } from "../../../../lib/identity/identity.ts";
import { type Address, formatAddress } from "../../../../lib/base/ids.ts";
import type { JsonObject } from "../../../../lib/controller/json.ts";
import { CONTROLLER, Harness, identityOf, type Kind } from "./harness.ts";

export const NETWORK = "7d6fc6c76500beef";
export const PATH = `/controller/network/${NETWORK}`;
export const ALICE = identityOf(0x19810bb6a3);
export const BOB = identityOf(0xcab3262c6a);
const CONTROLLER_KEY = identityOf(CONTROLLER).publicKey;

export function memberPath(identity: Identity): string {
  return `${PATH}/member/${formatAddress(identity.address)}`;
}

/** The only key needed to check what a controller signed. */
export function keyOf(address: Address): Uint8Array | undefined {
  return address === CONTROLLER ? CONTROLLER_KEY : undefined;
}

/** A controller with one network. */
export function withNetwork(fields: JsonObject = {}): Harness {
  const harness = new Harness();
  harness.post(PATH, fields);
  return harness;
}

/** The config that was sent, as it arrives. */
export function configOf(action: Kind<"config"> | Kind<"refuse"> | undefined): NetworkConfig {
  assert.equal(action?.kind, "config");
  const config = (action as Kind<"config">).config;
  assert.deepEqual(decodeNetworkConfig(encodeNetworkConfig(config)), config);
  return config;
}

/** The error code that was sent. */
export function codeOf(action: Kind<"config"> | Kind<"refuse"> | undefined): number {
  assert.equal(action?.kind, "refuse");
  return (action as Kind<"refuse">).code;
}

/** Joins a public network: from then on a member is online. */
export function join(harness: Harness, ...members: Identity[]): void {
  for (const member of members) configOf(harness.request(NETWORK, member));
  harness.settle();
  harness.actions = [];
}

/** A network with something in every field. */
export const RICH: JsonObject = {
  name: "x".repeat(100) + "é".repeat(20),
  private: false,
  mtu: 1400,
  multicastLimit: 5,
  enableBroadcast: false,
  routes: [{ target: "10.147.17.0/24" }, { target: "10.99.0.0/16", via: "10.147.17.1" }],
  ipAssignmentPools: [{ ipRangeStart: "10.147.17.10", ipRangeEnd: "10.147.17.250" }],
  v4AssignMode: { zt: true },
  v6AssignMode: { rfc4193: true, "6plane": true },
  rules: [{ type: "MATCH_ETHERTYPE", etherType: 2048 }, { type: "ACTION_ACCEPT" }],
  capabilities: [
    { id: 7, default: true, rules: [{ type: "ACTION_ACCEPT" }] },
    { id: 8, rules: [{ type: "ACTION_DROP" }] },
  ],
  tags: [{ id: 5, default: 1 }, { id: 6 }],
  dns: { domain: "lab.example", servers: ["10.147.17.2", "bogus", "fd00::2"] },
  remoteTraceTarget: "ae2ded7b88",
  remoteTraceLevel: 3,
};
