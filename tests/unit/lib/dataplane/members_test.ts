import { equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { type Address, type Mac, macOf, type NetworkId } from "../../../../lib/base/ids.ts";
import { CONFIG_LENGTH_MAX } from "../../../../lib/credential/network_config.ts";
import { RuleType } from "../../../../lib/credential/rule_codec.ts";
import type { Rule } from "../../../../lib/credential/rule_codec.ts";
import {
  Members,
  type PlaneMember,
  planeMember,
  type PlaneNetwork,
  planeNetwork,
} from "../../../../lib/dataplane/members.ts";
import { ACCEPT, dictionary, DROP, encodedRules, noCredentials } from "./rig.ts";

function networkOf(slot: number, port = slot + 1, rules: readonly Rule[] = [ACCEPT]): PlaneNetwork {
  const id = 0x8056_c2e2_1c00_0000n + BigInt(slot) as NetworkId;
  const mac = 0x02_1122_3344_55 as Mac;
  const config = dictionary(rules, { networkId: id });
  return planeNetwork({ slot, id, port, mac, config }, () => 0);
}

const networks = [networkOf(0), networkOf(1), networkOf(2, 1)];
const addresses = Array.from({ length: 6 }, (_, i) => 0x10_0000_0001 + i * 977 as Address);
const credentials = noCredentials();

/** The same, made the obvious way. */
class Model {
  readonly members = new Map<number, PlaneMember>();

  byMac(port: number, macHigh: number, macLow: number): PlaneMember | undefined {
    return [...this.members.values()].find((member) =>
      member.network.port === port && member.macHigh === macHigh && member.macLow === macLow
    );
  }

  bySession(session: number, network: PlaneNetwork): PlaneMember | undefined {
    return [...this.members.values()].find((member) =>
      member.session === session && member.network.id === network.id
    );
  }
}

Deno.test("planeNetwork() takes what a controller sent and we wrote anew, longer than it came", () => {
  const id = networks[0].id;
  const type = RuleType.MATCH_IPV6_SOURCE;
  const ip = new Uint8Array(16); // zeros are written as two bytes each
  const zeros: Rule = { type, kind: "ip", ip, bits: 0, not: false, or: false };
  const rules = encodedRules(Array.from({ length: 64 }, () => zeros));
  const link = { to: addresses[0], from: addresses[1], signature: new Uint8Array(96) };
  const custody = Array.from({ length: 7 }, () => link);
  const capabilities = Array.from(
    { length: 128 },
    (_, i) => ({ networkId: id, timestampMs: 1, id: i, rules, custodyLinksMax: 7, custody }),
  );
  const config = dictionary(Array.from({ length: 1_024 }, () => zeros), {
    networkId: id,
    capabilities,
  });
  ok(config.length > CONFIG_LENGTH_MAX);
  const network = planeNetwork({ slot: 0, id, port: 1, mac: 2 as Mac, config }, () => 0);
  equal(network.acceptsAll, false);
});

Deno.test("Members finds by MAC and by session exactly who is there, whatever came and went", () => {
  const steps = fc.array(
    fc.record({ slot: fc.nat(11), network: fc.nat(1), who: fc.option(fc.nat(5)) }),
    { maxLength: 60 },
  );
  fc.assert(fc.property(steps, (list) => {
    const members = new Members();
    const model = new Model();
    for (const { slot, network: n, who } of list) {
      const network = networks[n];
      const known = who !== null && model.bySession(who, network);
      if (who === null || (known && known.slot !== slot)) {
        members.remove(slot);
        model.members.delete(slot);
      } else {
        const fields = { slot, session: who, admitted: true, credentials };
        const member = planeMember(network, fields, addresses[who]);
        members.set(member);
        model.members.set(slot, member);
      }
      for (const other of [networks[0], networks[1]]) {
        for (const [session, address] of addresses.entries()) {
          const mac = macOf(address, other.id);
          const [high, low] = [Math.floor(mac / 2 ** 32), (mac % 2 ** 32) | 0];
          equal(members.byMac(other.port, high, low), model.byMac(other.port, high, low));
          const found = members.bySession(session, other.idHigh, other.idLow);
          equal(found, model.bySession(session, other));
        }
      }
      equal(members.get(slot), model.members.get(slot));
    }
    const of0 = [...model.members.values()].filter(({ network }) => network === networks[0]);
    equal(new Set([...members.of(networks[0]), ...of0]).size, of0.length);
  }));
});

Deno.test("Members.byMac() keeps apart equal MACs on different ports", () => {
  const members = new Members();
  const [a, b] = [networkOf(0, 1), networkOf(0, 2)];
  const fields = { session: 0, admitted: true, credentials };
  const onA = planeMember(a, { ...fields, slot: 0 }, addresses[0]);
  const onB = planeMember(b, { ...fields, slot: 1, session: 1 }, addresses[0]);
  members.set(onA);
  members.set(onB);
  equal(members.byMac(1, onA.macHigh, onA.macLow), onA);
  equal(members.byMac(2, onA.macHigh, onA.macLow), onB);
  equal(members.byMac(3, onA.macHigh, onA.macLow), undefined);
});

const rule = (type: number, fields: Record<string, unknown>) =>
  ({ type, not: false, or: false, ...fields }) as unknown as Rule;
const T = RuleType;

for (
  const [name, rules, acceptsAll, perSegment] of [
    ["accept", [ACCEPT], true, false],
    ["accept behind a drop", [DROP, ACCEPT], false, false],
    ["no rules", [], false, false],
    [
      "ports",
      [
        rule(T.MATCH_IP_SOURCE_PORT_RANGE, { kind: "range", start: 1, end: 2 }),
        ACCEPT,
      ],
      false,
      false,
    ],
    [
      "frame sizes",
      [
        rule(T.MATCH_FRAME_SIZE_RANGE, { kind: "range", start: 1, end: 2 }),
        ACCEPT,
      ],
      false,
      true,
    ],
    ["chance", [rule(T.MATCH_RANDOM, { kind: "number", value: 7 }), ACCEPT], false, true],
    [
      "the SYN flag",
      [
        rule(T.MATCH_CHARACTERISTICS, { kind: "characteristics", mask: 2n, value: 2n }),
        ACCEPT,
      ],
      false,
      false,
    ],
    [
      "the PSH flag",
      [
        rule(T.MATCH_CHARACTERISTICS, { kind: "characteristics", mask: 8n, value: 8n }),
        ACCEPT,
      ],
      false,
      true,
    ],
  ] as const
) {
  Deno.test(`planeNetwork() sees what rules about ${name} need of each segment`, () => {
    const network = networkOf(0, 1, rules);
    equal(network.acceptsAll, acceptsAll);
    equal(network.perSegment, perSegment);
  });
}
