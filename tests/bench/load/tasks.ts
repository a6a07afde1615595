/**
 * Load on a root, at the other end of its cable: a program of its own, started by `ReadyChild`.
 * @module
 */
import { parseEndpoint } from "../../../lib/base/ip.ts";
import type { Address } from "../../../lib/base/ids.ts";
import { Identity, publicKeyOf } from "../../../lib/identity/identity.ts";
import { machinePrimitives } from "../../../cli/engine/primitives.ts";
import { AnySource } from "./any_source.ts";
import { ask, type Asked, type Asking, idle } from "./asking.ts";
import { Crowd, Genuine } from "./crowd.ts";
import {
  echo,
  type Echoed,
  floodAsPeer,
  floodAsStrangers,
  type Flooded,
  newcomers,
  type Pace,
} from "./attacking.ts";
import { peersPackets, strangersPackets, wanderersPackets } from "./hostility.ts";
import { relay, type Relayed } from "./relaying.ts";
import { Verb } from "../../../lib/wire/packet.ts";
import { Speaker } from "./speaker.ts";

const NEWCOMERS_IP = 0x1640_0000; // 22.64.0.0
const CROWD_PORT = 9_993;
const ATTACKER_IP = 0x1600_0101;
const HONEST_IP = 0x1601_0101;
const GREETING_WINDOW = 256;
const GREETING_MS = 20_000;
const MAKERS = 50; // keys forged HELLOs are made with

/** Whom the load is for. */
export interface Target {
  /** Public identity, as text. */
  readonly victim: string;
  /** "ip/port" */
  readonly at: string;
  /** Own port, of every address: several loads at a time have one each. */
  readonly port?: number;
}

/** What can be asked, with the parameters of each. */
export interface LoadTasks {
  /** Everybody of the crowd asks. */
  crowdAsks: { in: Target & { count: number } & Asking; out: Asked };
  /** Genuine identities ask, given as text with their secrets. */
  newcomersAsk: { in: Target & { identities: readonly string[] } & Asking; out: Asked };
  crowdIdles: { in: Target & { count: number; everyMs: number; timeMs: number }; out: Asked };
  crowdTalks: {
    in: Target & { flows: number; lengthBytes: number; timeMs: number };
    out: Relayed;
  };
  /** @param identity Genuine, and never where it says it is */
  strangersFlood: { in: Target & { identity: string } & Pace; out: Flooded };
  peerFloods: { in: Target & { identity: string } & Pace; out: Flooded };
  honestEchoes: {
    in: Target & { identities: readonly string[]; everyMs: number; timeMs: number };
    out: Echoed;
  };
  newcomersCome: {
    in: Target & { identities: readonly string[]; everyMs: number; patienceMs: number };
    out: number[];
  };
}

type Tasks = {
  [Name in keyof LoadTasks]: (
    task: LoadTasks[Name]["in"],
    source: AnySource,
  ) => () => LoadTasks[Name]["out"];
};

const TASKS: Tasks = {
  crowdAsks(task, source) {
    const crowd = crowdOf(task);
    return () => ask(source, crowd, task);
  },
  newcomersAsk(task, source) {
    const identities = task.identities.map((text) => Identity.parse(text));
    const victim = Identity.parse(task.victim);
    const people = new Genuine(identities, victim, source.to, NEWCOMERS_IP);
    return () => ask(source, people, task);
  },
  crowdIdles(task, source) {
    const crowd = crowdOf(task);
    return () => idle(source, crowd, task);
  },
  crowdTalks(task, source) {
    const crowd = crowdOf({ ...task, count: 2 * task.flows });
    const { count } = crowd;
    const greeting = { verb: Verb.HELLO, total: count, window: GREETING_WINDOW, retryMs: 500 };
    return () => {
      ask(source, crowd, { ...greeting, timeMs: GREETING_MS }); // the root is to know where they are
      return relay(source, crowd, task);
    };
  },
  strangersFlood(task, source) {
    const wanderer = speakerOf(task, task.identity);
    const makers = Array.from({ length: MAKERS }, () => strangerOf(wanderer));
    const packets = strangersPackets(wanderer, makers);
    return () => floodAsStrangers(source, packets, wanderersPackets(wanderer), task);
  },
  peerFloods(task, source) {
    const speaker = speakerOf(task, task.identity);
    const packets = peersPackets(speaker);
    return () => floodAsPeer(source, speaker, ATTACKER_IP, packets, task);
  },
  honestEchoes(task, source) {
    const speakers = task.identities.map((text) => speakerOf(task, text));
    return () => echo(source, speakers, HONEST_IP, task);
  },
  newcomersCome(task, source) {
    const speakers = task.identities.map((text) => speakerOf(task, text));
    return () => newcomers(source, speakers, NEWCOMERS_IP, task);
  },
};

function speakerOf({ victim, at }: Target, identity: string): Speaker {
  return new Speaker(Identity.parse(identity), Identity.parse(victim), parseEndpoint(at)!);
}

/** A key nobody has proved anything about. */
function strangerOf({ victim, victimAt }: Speaker): Speaker {
  const secretKey = crypto.getRandomValues(new Uint8Array(64));
  const publicKey = publicKeyOf(machinePrimitives, secretKey);
  return new Speaker(
    new Identity({ address: 1 as Address, publicKey, secretKey }),
    victim,
    victimAt,
  );
}

function crowdOf({ count, victim, at }: Target & { count: number }): Crowd {
  return new Crowd(count, Identity.parse(victim), parseEndpoint(at)!);
}

if (import.meta.main) {
  const [name, json] = Deno.args;
  const task = JSON.parse(json) as Target;
  const source = new AnySource(task.port ?? CROWD_PORT, parseEndpoint(task.at)!);
  const prepare = TASKS[name as keyof LoadTasks] as (
    task: unknown,
    source: AnySource,
  ) => () => unknown;
  const run = prepare(task, source);
  console.log("ready");
  const go = await Deno.stdin.read(new Uint8Array(16));
  if (go !== null) console.log(JSON.stringify(run()));
  Deno.exit(0);
}
