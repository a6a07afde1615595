/**
 * The rules of a network as something that is never broken: whatever is delivered is held against
 * what the controller last said, in words of the scenario's own, while members come, go, change
 * teams, restart and cheat.
 * @module
 */
import assert from "node:assert/strict";
import { Writer } from "../../lib/base/bytes.ts";
import { macOf, type NetworkId } from "../../lib/base/ids.ts";
import { compileSource, sourceToJson } from "../../lib/controller/language/compiler.ts";
import type { JsonObject } from "../../lib/controller/mod.ts";
import { buildFrame, type EthernetFrame, ETHERTYPE_IPV4 } from "../../lib/network/ethernet.ts";
import { encodeExtFrame } from "../../lib/wire/ext_frame.ts";
import { Verb } from "../../lib/wire/packet.ts";
import type { SimHost } from "./host.ts";
import { connect } from "./lab.ts";
import { measured, simTest } from "./scenario.ts";
import type { World } from "./world.ts";

const FOR_ALL = 5_001;
const FOR_NOBODY = 5_003;
const REFUSED = 5_004; // by who receives it
const WITHIN_TEAM = 5_005;
const BY_ADMINS = 5_006;
const PORTS = [FOR_ALL, FOR_NOBODY, REFUSED, WITHIN_TEAM, BY_ADMINS];
const RULES = `
tag team
  id 7
;
cap admin
  id 1
  accept ipprotocol udp and dport ${BY_ADMINS};
;
drop ipprotocol udp and dport ${FOR_NOBODY};
drop chr inbound and ipprotocol udp and dport ${REFUSED};
drop ipprotocol udp and dport ${WITHIN_TEAM} and not tdiff team 0;
break ipprotocol udp and dport ${BY_ADMINS};
accept;
`;
const UDP = 17;
const GRACE_MS = 5_000; // what the controller said before counts for so long...
const RESTARTED_GRACE_MS = 70_000; // ...after a restart until every member has asked it again: it cannot push before
const OVERTAKEN_MS = 20; // links take up to 10 ms longer for one packet than for the next
const FRAMES_EVERY_MS = 10;
const CHANGES_EVERY_MS = 1_500;
const DURATION_MS = 150_000;
const HONEST = 8;

/** What the controller says of a member, now and for the grace before. */
class Roles {
  readonly #said: { team: number; isAdmin: boolean; fromMs: number; untilMs: number }[] = [];

  say(team: number, isAdmin: boolean, nowMs: number): void {
    const last = this.#said.at(-1);
    if (last) last.untilMs = nowMs;
    this.#said.push({ team, isAdmin, fromMs: nowMs, untilMs: Infinity });
  }

  get now() {
    return this.#said.at(-1)!;
  }

  recent(nowMs: number, graceMs: number) {
    return this.#said.filter(({ untilMs }) => nowMs - untilMs < graceMs);
  }
}

interface Scene {
  readonly world: World;
  readonly controller: SimHost;
  readonly network: NetworkId;
  readonly members: readonly SimHost[];
  readonly roles: Map<SimHost, Roles>;
  readonly delivered: Map<number, number>;
  /** When a member that had been removed was let in again: till then it did not hear of its roles. */
  readonly backMs: Map<SimHost, number>;
  /** From when on each hears each in the role it has. */
  readonly heardMs: Map<string, number>;
  controllerStartedMs: number;
}

/** A UDP datagram whose payload says who really sent it. */
function datagram(from: number, port: number): Uint8Array {
  const packet = new Uint8Array(20 + 8 + 4);
  packet.set([0x45, 0, 0, packet.length, 0, 0, 0, 0, 64, UDP]);
  packet.set([10, 147, 0, 1], 12);
  packet.set([10, 147, 0, 2], 16);
  packet.set([0x30, 0x39, port >> 8, port & 0xff, 0, 12, 0, 0, from], 20);
  return packet;
}

/** What a delivered frame is, if it is one of ours. */
function read({ etherType, payload }: EthernetFrame): { port: number; from: number } | undefined {
  if (etherType !== ETHERTYPE_IPV4 || payload[9] !== UDP) return undefined;
  return { port: (payload[22] << 8) | payload[23], from: payload[28] };
}

/** The rules in other words. */
function forbidden(scene: Scene, to: SimHost, frame: EthernetFrame): string | undefined {
  const found = read(frame);
  if (!found) return undefined;
  const { world, network, members, roles, delivered } = scene;
  const from = members[found.from];
  const what = `port ${found.port} from ${from.name}`;
  if (frame.source !== macOf(from.address, network)) return `${what} under another's MAC`;
  const sinceMs = world.nowMs - scene.controllerStartedMs;
  const graceMs = sinceMs < RESTARTED_GRACE_MS + GRACE_MS ? RESTARTED_GRACE_MS : GRACE_MS;
  const isNews = isFirstInRole(scene, from, to);
  const sender = roles.get(from)!.recent(world.nowMs, graceMs);
  const receiver = roles.get(to)!.recent(world.nowMs, graceMs);
  if (world.nowMs - (scene.backMs.get(from) ?? -Infinity) < GRACE_MS) return undefined;
  delivered.set(found.port, (delivered.get(found.port) ?? 0) + 1);
  switch (found.port) {
    case FOR_ALL:
      return undefined;
    case WITHIN_TEAM: {
      const before = isNews ? roles.get(from)!.recent(world.nowMs, RESTARTED_GRACE_MS) : sender;
      const isOne = before.some(({ team }) => receiver.some((other) => other.team === team));
      return isOne ? undefined : `${what}, of another team`;
    }
    case BY_ADMINS:
      return sender.some(({ isAdmin }) => isAdmin) ? undefined : `${what}, who is no admin`;
    default:
      return what;
  }
}

/**
 * What a member is, it tells each other right before the first frame it sends there, which may
 * overtake it: if the sender does not know either what the receiver is, that frame passes by what
 * the receiver knew.
 */
function isFirstInRole({ world, roles, heardMs }: Scene, from: SimHost, to: SimHost): boolean {
  const { fromMs } = roles.get(from)!.now;
  if (world.nowMs - fromMs < GRACE_MS) return false; // it may not know itself yet
  const key = `${from.name} ${to.name} ${fromMs}`;
  const firstMs = heardMs.get(key) ?? world.nowMs;
  heardMs.set(key, firstMs);
  return world.nowMs - firstMs < OVERTAKEN_MS;
}

function makeScene(world: World): Scene {
  for (let i = 0; i < 2; i++) world.addRoot();
  const controller = world.addController();
  world.run(500);
  const { config } = sourceToJson(compileSource(RULES)) as { config: JsonObject };
  const network = world.addNetwork(controller, { private: true, ...config });
  const places = ["pub", "pr", "sym", "eim"] as const;
  const members = Array.from(
    { length: HONEST + 1 },
    (_, i) => world.addNode({ place: places[i % places.length] }),
  );
  const scene: Scene = {
    world,
    controller,
    network,
    members,
    roles: new Map(members.map((member) => [member, new Roles()])),
    delivered: new Map(),
    backMs: new Map(),
    heardMs: new Map(),
    controllerStartedMs: -Infinity,
  };
  world.run(500);
  for (const [i, member] of members.entries()) setRole(scene, member, i % 3, i === 0);
  for (const member of members) world.authorize(controller, network, member);
  world.joinAll(network, members);
  for (const member of members.slice(1)) connect(world, members[0], member);
  world.safety.forbids = (to, _, frame) => forbidden(scene, to, frame);
  return scene;
}

/** The controller gives a member another team, or other powers. */
function setRole(scene: Scene, member: SimHost, team: number, isAdmin: boolean): void {
  const { world, controller, network, roles } = scene;
  roles.get(member)!.say(team, isAdmin, world.nowMs);
  world.setMember(controller, network, member, {
    tags: [[7, team]],
    capabilities: isAdmin ? [1] : [],
  });
}

/** Anybody sends anything to anybody. */
function chatter({ world, network, members }: Scene): void {
  const [from, to] = [world.rng.below(members.length), world.rng.below(members.length)];
  const [sender, receiver] = [members[from], members[to]];
  if (from === to || !sender.isUp || !sender.stack(network)) return;
  const payload = datagram(from, world.rng.pick(PORTS));
  const destination = macOf(receiver.address, network);
  const source = macOf(sender.address, network);
  const frame = buildFrame({ destination, source, etherType: ETHERTYPE_IPV4, payload });
  sender.hand({ kind: "frame", network, bytes: frame });
}

/** A member that heeds no rule of its own, and sends in others' names. */
function cheat({ world, network, members }: Scene): void {
  const liar = members[HONEST];
  liar.node.networks.frames.mayLeave = () => true;
  const [to, other] = [members[world.rng.below(HONEST)], members[world.rng.below(HONEST)]];
  const w = new Writer();
  encodeExtFrame({
    networkId: network,
    subtype: 0,
    acknowledge: world.rng.chance(0.5),
    com: undefined,
    destination: macOf(to.address, network),
    source: macOf(other.address, network),
    etherType: ETHERTYPE_IPV4,
    frame: datagram(HONEST, world.rng.pick(PORTS)),
  }, w);
  liar.node.vl1.send(to.address, Verb.EXT_FRAME, w.finish());
  liar.timeout();
}

/** One change: of a role, of membership, or of a machine. */
function change(scene: Scene, removed: Set<SimHost>): void {
  const { world, controller, network, members } = scene;
  const member = members[world.rng.below(HONEST)];
  const dice = world.rng.fraction();
  if (dice < 0.5) {
    setRole(scene, member, world.rng.below(3), world.rng.chance(0.3));
  } else if (dice < 0.7) {
    world.authorize(controller, network, member, removed.has(member));
    if (removed.delete(member)) scene.backMs.set(member, world.nowMs);
    else removed.add(member);
  } else if (dice < 0.85) {
    member.stop(world.rng.chance(0.5));
    world.after(world.rng.below(3_000), () => member.boot(world.planet()));
  } else if (dice < 0.98) {
    member.connect(world.interfacesFor({ place: world.rng.pick(["pub", "pr", "sym"]) }), 100);
  } else {
    controller.stop();
    world.run(500);
    controller.boot(world.planet());
    scene.controllerStartedMs = world.nowMs;
    world.run(500);
  }
}

simTest("no frame is delivered that the rules forbid, whoever comes, goes, changes or cheats", {
  seeds: [1, 2],
  link: { lossFraction: 0.005, jitterMs: 5 },
}, (world) => {
  const scene = makeScene(world);
  const endMs = world.nowMs + DURATION_MS;
  const tick = (everyMs: number, act: () => void) => {
    act();
    if (world.nowMs < endMs) world.after(everyMs, () => tick(everyMs, act));
  };
  tick(FRAMES_EVERY_MS, () => chatter(scene));
  tick(FRAMES_EVERY_MS * 5, () => cheat(scene));
  const removed = new Set<SimHost>();
  while (world.nowMs < endMs) {
    change(scene, removed);
    world.run(CHANGES_EVERY_MS);
  }
  const { delivered } = scene;
  for (const port of [FOR_ALL, WITHIN_TEAM, BY_ADMINS]) {
    measured(`frames delivered to port ${port}`, delivered.get(port) ?? 0, "");
    assert.ok((delivered.get(port) ?? 0) > 10, `port ${port} passes where it may`);
  }
  assert.equal(delivered.get(FOR_NOBODY), undefined);
  assert.equal(delivered.get(REFUSED), undefined);
});
