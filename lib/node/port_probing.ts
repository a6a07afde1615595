/**
 * Direct paths through a symmetric NAT, one that uses another port for each destination, so that
 * nobody can be told where to send. The node behind it opens ports to the other: up to 256 sockets
 * send there, and each makes the NAT open a port nobody knows. The other tries ports of that NAT by
 * chance: with 256 of 64,512 open, 1,024 tries find one with a probability of 98 % ("birthday").
 * NATs that count are found by the ports that follow the known ones.
 *
 * It begins when the ordinary way has had its time: both were introduced by a root, and still send
 * through it. What each knows of its own NAT it says in a note beside the addresses it pushes; the
 * one that opens ports says so too, so that both do it at the same time. Where both NATs are
 * symmetric nothing is tried. Probes are ordinary ECHOs (or HELLOs), never to an address that no
 * root has named, and limited: one attempt at a time, one in ten minutes and peer.
 *
 * Source: spec 03 section 28 item 11; the reference has nothing of it (section 16.3). To a peer
 * that adds no notes only the ports that follow known ones are tried.
 * @module
 */
import { Writer } from "../base/bytes.ts";
import type { Address } from "../base/ids.ts";
import { type Endpoint, sameEndpoint, sameIp } from "../base/ip.ts";
import { Timers } from "../base/timers.ts";
import { DOOR_SOCKET_MIN, isTunnel, type Path, type SocketId } from "../peer/path.ts";
import type { Peer } from "../peer/peer.ts";
import { Verb } from "../wire/packet.ts";
import { encodePushDirectPaths, PortNote, type PushedPath } from "../wire/push_direct_paths.ts";
import type { Contact } from "./contact.ts";
import { natView } from "./nat_kind.ts";
import { followingCount, portsToTry } from "./port_choice.ts";
import type { Surface } from "./surface.ts";
import type { Vl1 } from "./vl1.ts";

/** Polite limits: what a NAT's table, and whoever shares its address, must bear. */
const SOCKETS_MAX = 256; // at a time, for all peers, those in use included
const PROBES_MAX = 1_024; // in one attempt
const TICK_MS = 50;
const PROBES_PER_TICK = 5; // 100 a second
const IDLE_TICK_MS = 500; // while there is nothing to send
const AGAIN_MS = 600_000; // between two attempts with one peer
const PATIENCE_MS = 1_000; // ordinary probes after an introduction are answered by then, if ever

/**
 * Ports stay open so long: to try all takes the other 10 s, and a NAT keeps one for 30 s at least
 * (RFC 4787 asks for 120).
 */
const OPEN_MS = 15_000;
/**
 * The first packet only has to pass our own NAT, which may be further off than that one gets: once
 * more, all the way. By now most of the other's probes are under way.
 */
const OPEN_FAR_MS = 7_500;
const INVITE_MS = [0, 1_000, 3_000]; // after the start: relayed packets get lost
const INVITATION_LIFE_MS = 5_000; // later too few of the open ports' time is left
const LAST_ANSWER_MS = 2_000; // the last probe's answer is waited for
const IN_USE_MS = 60_000; // frames came from the peer as lately
const INTRODUCTION_LIFE_MS = 120_000; // roots repeat them every 30 s while they relay
const BUSY_RETRY_MS = 1_000; // another peer's attempt is going on
const PROSPECTS_MAX = 256; // peers introduced and not reached directly; strangers and then the oldest make room
const ATTEMPTS_MAX = 1_024; // attempts of the last ten minutes: when full, no more are begun
const KNOWN_PORTS_MAX = 4; // ports of a peer's NAT remembered

/** What a peer knows of its own NAT; "silent": it pushes addresses without notes, as the reference does. */
type Ports = "unknown" | "same" | "different" | "silent";

/** A peer we were introduced to and have no direct path to. */
interface Prospect {
  readonly peer: Address;
  readonly firstMs: number;
  /** Where a root sees it, and the socket by which that root knows us. */
  introduction?: { readonly endpoint: Endpoint; readonly socket: SocketId; readonly atMs: number };
  /** What it says of its NAT; undefined until it pushes addresses. */
  ports?: Ports;
  /** Ports of its NAT we heard of, the latest first. */
  known: number[];
  /** Last frame from it to us alone. A broadcast is no reason to open hundreds of ports: it reaches every member. */
  frameMs: number;
  /** It opens ports to this address of ours. */
  invitation?: { readonly endpoint: Endpoint; readonly atMs: number };
}

/** What is being done for one peer. */
interface Attempt {
  readonly peer: Address;
  readonly startMs: number;
  /** It adds notes, so it is one of us and knows ECHO; of others that is not certain before a HELLO. */
  readonly isOurs: boolean;
  /** Where it is, as a root sees it. */
  readonly endpoint: Endpoint;
  endMs: number;
  /** Ports we open: packets go to the endpoint from sockets beside this one. */
  opening?: {
    readonly beside: SocketId;
    readonly max: number;
    readonly doors: Path[];
    far: number;
  };
  invited: number;
  /** Ports we try, from this socket. */
  trying?: { readonly socket: SocketId; readonly ports: Iterator<number>; readonly max: number };
  tried: number;
  probes: number;
}

/** An attempt as a user wants to hear of it. */
export interface PortProbingState {
  /** Sockets that opened a port so far, of how many; undefined when we open none. */
  readonly opened?: readonly [number, number];
  /** Ports tried so far, of how many; undefined when we try none. */
  readonly tried?: readonly [number, number];
  /** Whether both NATs use another port for each destination: there is nothing to try. */
  readonly isHopeless: boolean;
  /** When the last attempt with the peer began; undefined when there was none lately. */
  readonly lastMs?: number;
  /** When the next may begin. */
  readonly nextMs: number;
}

export class PortProbing {
  readonly #prospects = new Map<Address, Prospect>();
  readonly #due = new Timers<Prospect>();
  readonly #attempts = new Map<Address, number>(); // when each began, the oldest first
  #attempt: Attempt | undefined;
  #tickMs = Infinity;
  #nextDoor = DOOR_SOCKET_MIN;

  constructor(readonly vl1: Vl1, readonly contact: Contact, readonly surface: Surface) {}

  get deadlineMs(): number {
    return Math.min(this.#due.nextMs, this.#tickMs);
  }

  /** What we say of our own NAT beside the addresses we push. */
  get note(): PortNote {
    const { nowMs, sockets } = this.vl1;
    const udp = sockets.filter(({ id }) => !isTunnel(id));
    const { kind } = natView(this.surface.latelyReported(nowMs), udp, 4);
    if (kind === "symmetric") return PortNote.DIFFERENT;
    return kind === "none" || kind === "endpoint-independent" ? PortNote.SAME : PortNote.UNKNOWN;
  }

  /** A root says where a peer is. @param path By which the root said so */
  introduced(peer: Peer, endpoint: Endpoint, path: Path): void {
    if (endpoint.ip.length !== 4 || this.#isDirect(peer)) return;
    const udp = this.vl1.sockets.filter(({ id, ip }) => !isTunnel(id) && ip.length === 4);
    const socket = udp.find(({ id }) => id === path.socket) ?? udp[0];
    if (!socket) return;
    const prospect = this.#prospectOf(peer.address);
    const isElsewhere = prospect.introduction &&
      !sameIp(prospect.introduction.endpoint.ip, endpoint.ip);
    if (isElsewhere) prospect.known = [];
    prospect.introduction = { endpoint, socket: socket.id, atMs: this.vl1.nowMs };
    this.#know(prospect, endpoint);
    this.#consider(prospect);
  }

  /** A peer says where it is, what it knows of its NAT, and whether it opens ports to us. */
  told(peer: Peer, pushed: readonly PushedPath[]): void {
    if (this.#isDirect(peer)) return;
    const prospect = this.#prospectOf(peer.address);
    let ports: Ports = "silent";
    for (const { endpoint, note } of pushed) {
      if (endpoint.ip.length !== 4) continue;
      if (note === PortNote.OPEN) {
        prospect.invitation = { endpoint, atMs: this.vl1.nowMs };
        return this.#invited(prospect);
      }
      if (note !== undefined) ports = NOTED[note];
      this.#know(prospect, endpoint);
    }
    prospect.ports = ports;
    this.#consider(prospect);
  }

  /** A frame came from a peer to us alone, by relay. */
  used(peer: Peer): void {
    const prospect = this.#prospects.get(peer.address);
    if (!prospect) return;
    const wasUnused = prospect.frameMs === -Infinity;
    prospect.frameMs = this.vl1.nowMs;
    if (wasUnused) this.#consider(prospect);
  }

  /** A path to a peer was learned. */
  learned(peer: Peer): void {
    if (!this.#isDirect(peer)) return;
    const prospect = this.#prospects.get(peer.address);
    if (prospect) this.#forget(prospect);
    if (this.#attempt?.peer === peer.address) this.#finish();
  }

  /** Works off what is due. */
  handleTimeout(): void {
    const { nowMs } = this.vl1;
    const due: Prospect[] = [];
    for (let one = this.#due.pop(nowMs); one; one = this.#due.pop(nowMs)) due.push(one);
    // Broadcasts alone make us known to every member: whom we have most to say to comes first.
    due.sort((a, b) => this.#sentTo(b) - this.#sentTo(a));
    for (const prospect of due) {
      if (this.#attempt) this.#due.set(prospect, nowMs + BUSY_RETRY_MS);
      else this.#begin(prospect);
    }
    if (this.#attempt && nowMs >= this.#tickMs) this.#tick(this.#attempt);
  }

  /** Closes the sockets opened ports were not found at, or not used any more, or whose address is gone. */
  closeUnused(): void {
    const { vl1 } = this;
    if (vl1.doors.size === 0) return;
    const used = new Set(this.#attempt?.opening?.doors.map(({ socket }) => socket));
    for (const peer of vl1.peers.values()) for (const { path } of peer.paths) used.add(path.socket);
    for (const [door, beside] of vl1.doors) {
      if (used.has(door) && vl1.sockets.some(({ id }) => id === beside)) continue;
      vl1.doors.delete(door);
      vl1.paths.dropSocket(door);
      this.surface.dropSocket(door);
      vl1.outbox.push({ kind: "close-socket", socket: door });
    }
  }

  /** What is done, was done or will be done for a peer; undefined when there is no occasion. */
  stateOf(address: Address): PortProbingState | undefined {
    const prospect = this.#prospects.get(address);
    const attempt = this.#attempt?.peer === address ? this.#attempt : undefined;
    const lastMs = this.#attempts.get(address);
    if (!prospect && !attempt) return undefined;
    return {
      ...attempt?.opening && { opened: [attempt.opening.doors.length, attempt.opening.max] },
      ...attempt?.trying && { tried: [attempt.tried, attempt.trying.max] },
      isHopeless: prospect?.ports === "different" && this.note === PortNote.DIFFERENT,
      lastMs,
      nextMs: lastMs === undefined ? this.vl1.nowMs : lastMs + AGAIN_MS,
    };
  }

  #prospectOf(address: Address): Prospect {
    const known = this.#prospects.get(address);
    if (known) return known;
    if (this.#prospects.size >= PROSPECTS_MAX) this.#makeRoom();
    const prospect = { peer: address, firstMs: this.vl1.nowMs, known: [], frameMs: -Infinity };
    this.#prospects.set(address, prospect);
    return prospect;
  }

  /** The oldest goes, strangers before members: anybody can have himself introduced under many addresses. */
  #makeRoom(): void {
    const { nowMs, peers } = this.vl1;
    const all = [...this.#prospects.values()];
    this.#forget(all.find(({ peer }) => !peers.get(peer)?.isTrusted(nowMs)) ?? all[0]);
  }

  #forget(prospect: Prospect): void {
    this.#prospects.delete(prospect.peer);
    this.#due.delete(prospect);
  }

  #know(prospect: Prospect, { ip, port }: Endpoint): void {
    const { introduction } = prospect;
    if (!introduction || !sameIp(ip, introduction.endpoint.ip)) return;
    prospect.known = [port, ...prospect.known.filter((one) => one !== port)]
      .slice(0, KNOWN_PORTS_MAX);
  }

  #consider(prospect: Prospect): void {
    this.#due.setEarlier(prospect, Math.max(this.vl1.nowMs, prospect.firstMs + PATIENCE_MS));
  }

  /** It opens ports for us now: no time to lose. */
  #invited(prospect: Prospect): void {
    if (this.#attempt?.peer === prospect.peer) {
      this.#startTrying(this.#attempt, prospect);
      this.#tickMs = Math.min(this.#tickMs, this.vl1.nowMs);
    } else this.#due.set(prospect, this.vl1.nowMs);
  }

  #sentTo({ peer }: Prospect): number {
    return this.vl1.peers.get(peer)?.packetsOut ?? 0;
  }

  #begin(prospect: Prospect): void {
    const { vl1 } = this;
    const { nowMs } = vl1;
    const peer = vl1.peers.get(prospect.peer);
    const { introduction } = prospect;
    if (!peer || this.#isDirect(peer)) return this.#forget(prospect);
    if (!introduction || nowMs - introduction.atMs > INTRODUCTION_LIFE_MS) return;
    if (!this.#isWorthIt(peer, prospect)) return;
    if (!this.#isAllowed(prospect.peer, introduction.endpoint)) return;
    const attempt: Attempt = {
      peer: peer.address,
      startMs: nowMs,
      isOurs: prospect.ports !== "silent",
      endpoint: introduction.endpoint,
      endMs: Infinity,
      invited: 0,
      tried: 0,
      probes: 0,
    };
    this.#startOpening(attempt, prospect);
    this.#startTrying(attempt, prospect);
    if (!attempt.opening && !attempt.trying) return;
    this.#attempts.delete(peer.address);
    this.#attempts.set(peer.address, nowMs);
    this.#attempt = attempt;
    this.#tick(attempt);
  }

  #isWorthIt(peer: Peer, prospect: Prospect): boolean {
    const { nowMs, settings } = this.vl1;
    const isUsed = nowMs - prospect.frameMs < IN_USE_MS || this.#isInvited(prospect);
    return isUsed && peer.isTrusted(nowMs) && !settings.isLowBandwidth?.();
  }

  #isInvited({ invitation }: Prospect): boolean {
    return invitation !== undefined && this.vl1.nowMs - invitation.atMs <= INVITATION_LIFE_MS;
  }

  #isAllowed(peer: Address, endpoint: Endpoint): boolean {
    const { nowMs } = this.vl1;
    for (const [address, atMs] of this.#attempts) {
      if (nowMs - atMs >= AGAIN_MS) this.#attempts.delete(address);
    }
    if (this.#attempts.has(peer) || this.#attempts.size >= ATTEMPTS_MAX) return false;
    // Behind the same NAT there is nothing to find outside it.
    return !this.surface.confirmed(nowMs).some(({ ip }) => sameIp(ip, endpoint.ip));
  }

  /** Ports are opened by whose NAT may be symmetric, for whose may be not. */
  #startOpening(attempt: Attempt, { ports, introduction }: Prospect): void {
    const max = SOCKETS_MAX - this.vl1.doors.size;
    const isOther = ports === "same" || ports === "unknown";
    if (this.note === PortNote.SAME || !isOther || !introduction || max <= 0) return;
    attempt.opening = { beside: introduction.socket, max, doors: [], far: 0 };
    attempt.endMs = attempt.startMs + OPEN_MS;
  }

  /** Ports are tried by whose NAT may be not symmetric, when the other opens some, or for a few that are likely. */
  #startTrying(attempt: Attempt, prospect: Prospect): void {
    const { nowMs, config } = this.vl1;
    const { ports, known, introduction, invitation } = prospect;
    if (attempt.trying || this.note === PortNote.DIFFERENT || !introduction) return;
    const isInvited = this.#isInvited(prospect);
    if (!isInvited && ports !== "silent") return;
    const max = isInvited ? PROBES_MAX : followingCount(known);
    const socket = invitation && this.#socketAt(invitation.endpoint) || introduction.socket;
    attempt.trying = { socket, ports: portsToTry(known, max, config.random), max };
    attempt.endMs = Math.max(attempt.startMs, nowMs) + OPEN_MS;
  }

  /** The socket that is seen at an address. */
  #socketAt(endpoint: Endpoint): SocketId | undefined {
    const { nowMs, sockets } = this.vl1;
    const seen = this.surface.bySocket(nowMs).find(({ surface, socket }) =>
      sameEndpoint(surface, endpoint) && sockets.some(({ id }) => id === socket)
    );
    return seen?.socket ?? sockets.find((socket) => sameEndpoint(socket, endpoint))?.id;
  }

  /** A few packets, or the end. */
  #tick(attempt: Attempt): void {
    const { nowMs } = this.vl1;
    const peer = this.vl1.peers.get(attempt.peer);
    if (!peer || this.#isDirect(peer) || nowMs >= attempt.endMs) return this.#finish();
    this.#invite(attempt);
    const before = attempt.probes;
    for (let i = 0; i < PROBES_PER_TICK && attempt.probes < PROBES_MAX; i++) {
      if (!this.#probeOnce(attempt, peer)) break;
      attempt.probes++;
    }
    const isOver = attempt.probes >= PROBES_MAX ||
      attempt.trying !== undefined && attempt.tried >= attempt.trying.max;
    if (isOver && !attempt.opening) attempt.endMs = Math.min(attempt.endMs, nowMs + LAST_ANSWER_MS);
    this.#tickMs = nowMs + (attempt.probes > before ? TICK_MS : IDLE_TICK_MS);
  }

  /** @returns false when there is nothing to send now */
  #probeOnce(attempt: Attempt, peer: Peer): boolean {
    const { opening, trying } = attempt;
    if (opening && opening.doors.length < opening.max) {
      this.#open(attempt, opening);
      return true;
    }
    const next = trying?.ports.next();
    if (trying && next && !next.done) {
      attempt.tried++;
      const endpoint = { ip: attempt.endpoint.ip, port: next.value };
      const path = this.vl1.paths.get(trying.socket, endpoint);
      if (this.vl1.mayUse(peer.address, path)) this.#ask(attempt, peer, path);
      return true;
    }
    const isFarDue = this.vl1.nowMs >= attempt.startMs + OPEN_FAR_MS;
    if (!opening || !isFarDue || opening.far >= opening.doors.length) return false;
    this.#ask(attempt, peer, opening.doors[opening.far++]);
    return true;
  }

  #ask({ isOurs }: Attempt, peer: Peer, path: Path): void {
    if (isOurs) this.contact.echo(peer, path);
    else this.contact.probe(peer, path, false, true);
  }

  #open(attempt: Attempt, opening: NonNullable<Attempt["opening"]>): void {
    const { vl1 } = this;
    const socket = this.#nextDoor++;
    vl1.doors.set(socket, opening.beside);
    vl1.outbox.push({ kind: "open-socket", socket, beside: opening.beside });
    const path = vl1.paths.get(socket, attempt.endpoint);
    vl1.paths.invite(path);
    this.contact.openNat(path);
    opening.doors.push(path);
  }

  /** Tells the peer that ports are open to it, and to which of its addresses. */
  #invite(attempt: Attempt): void {
    const dueMs = attempt.startMs + INVITE_MS[attempt.invited];
    if (!attempt.opening || !(this.vl1.nowMs >= dueMs)) return;
    attempt.invited++;
    const w = new Writer(32);
    const { endpoint } = attempt;
    encodePushDirectPaths([{ endpoint, note: PortNote.OPEN, forget: false, redirect: false }], w);
    this.vl1.send(attempt.peer, Verb.PUSH_DIRECT_PATHS, w.finish());
  }

  #finish(): void {
    this.#attempt = undefined;
    this.#tickMs = Infinity;
    this.closeUnused();
  }

  #isDirect(peer: Peer): boolean {
    const best = peer.best(this.vl1.nowMs);
    return best !== undefined && !best.path.isTunnel;
  }
}

const NOTED: Readonly<Record<PortNote, Ports>> = {
  [PortNote.UNKNOWN]: "unknown",
  [PortNote.SAME]: "same",
  [PortNote.DIFFERENT]: "different",
  [PortNote.OPEN]: "different",
};
