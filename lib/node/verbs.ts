/**
 * What each VL1 verb does once its packet is open; VL2's verbs go to the networks.
 *
 * Source: spec 02 section 10; per verb see its codec in `lib/wire/`.
 * @module
 */
import { Writer } from "../base/bytes.ts";
import type { Address } from "../base/ids.ts";
import { Waiting } from "../base/waiting.ts";
import type { Endpoint } from "../base/ip.ts";
import type { Path } from "../peer/path.ts";
import type { Peer } from "../peer/peer.ts";
import { decodeError } from "../wire/error.ts";
import { decodeOkHello, decodeWorlds } from "../wire/hello.ts";
import { decodeOk, encodeInRe, type Ok } from "../wire/ok.ts";
import { ErrorCode, PROTOCOL_VERSION_MIN, Verb } from "../wire/packet.ts";
import { decodeRendezvous, type Rendezvous } from "../wire/rendezvous.ts";
import { decodeOkWhois, decodeWhois } from "../wire/whois.ts";
import type { Question } from "./expected.ts";
import type { Greeting } from "./hello.ts";
import type { Node, Outcome, Received } from "./node.ts";

const ECHO_GATE_MS = 166; // between two answers by one path in the long run; reference ZT_PEER_ECHO_RATE_LIMIT / 6
const ECHO_BURST = 6; // answers at once: when we were busy for a while, a second's ECHOs wait for us
/** Introductions to peers whose identity is being asked for (spec 03 section 28 item 2b). */
const INTRODUCTIONS = { perKeyMax: 4, keysMax: 64, lifeMs: 5_000 };

interface Introduction {
  readonly endpoint: Endpoint;
  readonly path: Path;
}

export class VerbHandlers {
  readonly #introductions = new Waiting<Address, Introduction>(INTRODUCTIONS);

  constructor(readonly node: Node) {}

  /** @throws {WireError} when the payload is malformed */
  handle(received: Received): Outcome {
    switch (received.verb) {
      case Verb.OK:
        return this.#ok(received);
      case Verb.ERROR:
        return this.#error(received);
      case Verb.WHOIS:
        return this.#whois(received);
      case Verb.RENDEZVOUS:
        return this.#rendezvous(received);
      case Verb.ECHO:
        return this.#echo(received);
      case Verb.PUSH_DIRECT_PATHS:
        this.node.directPaths.receive(received.peer, received.payload);
        return "received";
      case Verb.ACK:
        return "dropped"; // of bonds of old
      case Verb.QOS_MEASUREMENT:
        this.node.bonds.measured(received);
        return "dropped"; // says nothing of the path but what it measures
      case Verb.PATH_NEGOTIATION_REQUEST:
        this.node.bonds.negotiated(received);
        return "dropped";
      default:
        return this.node.networks.verbs.handle(received);
    }
  }

  #ok(received: Received): Outcome {
    const { node } = this;
    const { peer, hops } = received;
    const ok = decodeOk(received.payload);
    const question = node.vl1.expected.find(ok.inRePacketId, peer.address, node.vl1.nowMs);
    if (!question) {
      node.vl1.counters.drop("unexpected-ok");
      return "dropped";
    }
    if (ok.inReVerb === Verb.HELLO && !this.#okHello(received, ok)) return "dropped";
    if (ok.inReVerb === Verb.WHOIS) this.#okWhois(peer, ok);
    if (hops === 0) this.#provePath(received, question);
    return node.networks.verbs.handleOk(received, ok);
  }

  /** An answer proves the path it was asked by; from anywhere else it only makes us ask there. */
  #provePath({ peer, path, id }: Received, question: Question): void {
    const { contact } = this.node;
    const asked = question.path;
    const same = asked !== undefined && asked.socket === path.socket &&
      asked.endpoint.port === path.endpoint.port &&
      asked.endpoint.ip.every((byte, i) => byte === path.endpoint.ip[i]);
    if (same) contact.learn(peer, path, question);
    if (same && question.mtuProbe !== undefined) {
      this.node.pathMtu.answered(path, question.mtuProbe);
    }
    if (!same && !peer.find(path)) contact.confirm(peer, path, !contact.isCopy(peer, id));
  }

  /** @returns false when the peer is too old to talk to */
  #okHello(received: Received, ok: Ok): boolean {
    const { vl1 } = this.node;
    const { peer, path, hops } = received;
    const hello = decodeOkHello(ok.body);
    if (hello.version.protocol < PROTOCOL_VERSION_MIN) return false;
    if (hello.worlds.length > 0 && vl1.upstreams.mayUpdateWorlds(peer.address)) {
      let changed = false;
      for (const world of decodeWorlds(hello.worlds)) {
        changed = vl1.upstreams.offer(world, peer.address) || changed;
      }
      if (changed) this.node.liveness.contactUpstreams();
    }
    peer.version = hello.version;
    if (hops === 0 && hello.surface) this.#reportSurface(peer, path, hello.surface);
    return true;
  }

  #reportSurface(peer: Peer, path: Path, surface: Endpoint): void {
    if (path.isTunnel) return; // an address of TCP, of no use to anybody
    const { vl1, surface: awareness } = this.node;
    const trusted = vl1.upstreams.isUpstream(peer.address);
    if (!awareness.report(peer.address, path, surface, trusted, vl1.nowMs)) return;
    // Our address changed behind our back: what was proved before may lead nowhere now.
    for (const other of vl1.peers.values()) {
      for (const known of other.paths) {
        if (known.path.scope === path.scope && known.path.isIpv4 === path.isIpv4) {
          this.node.contact.probe(other, known.path);
        }
      }
    }
  }

  #okWhois(peer: Peer, ok: Ok): void {
    const { vl1, claims } = this.node;
    if (!vl1.upstreams.isUpstream(peer.address)) return;
    for (const identity of decodeOkWhois(ok.body).items) claims.take(identity, peer.address);
  }

  #error(received: Received): Outcome {
    const error = decodeError(received.payload);
    const { vl1, networks } = this.node;
    vl1.counters.errorsReceived[error.code]++;
    if (error.code === ErrorCode.IDENTITY_COLLISION) {
      const matters = error.inReVerb === Verb.HELLO &&
        vl1.upstreams.isUpstream(received.peer.address);
      if (matters) vl1.outbox.push({ kind: "event", event: { name: "identity-collision" } });
      return "received";
    }
    networks.verbs.handleError(received, error);
    return "received";
  }

  #whois(received: Received): Outcome {
    const { node } = this;
    const answer = node.whois.answer(received.peer, received.id, decodeWhois(received.payload));
    if (answer) node.vl1.reply(received.peer, received.path, Verb.OK, answer);
    return "received";
  }

  #rendezvous(received: Received): Outcome {
    const { vl1 } = this.node;
    const meeting = decodeRendezvous(received.payload);
    if (!meeting || !vl1.upstreams.isUpstream(received.peer.address)) return "received";
    const peer = vl1.peers.get(meeting.peer);
    if (peer) {
      this.#meet(peer, meeting, received.path);
    } else if (this.node.whois.ask(meeting.peer)) {
      const introduction = { endpoint: meeting.endpoint, path: received.path };
      this.#introductions.push(meeting.peer, introduction, vl1.nowMs);
    }
    return "received";
  }

  #meet(peer: Peer, meeting: Pick<Rendezvous, "endpoint">, path: Path): void {
    const sameFamily = path.endpoint.ip.length === meeting.endpoint.ip.length;
    this.node.contact.punch(peer, meeting.endpoint, sameFamily ? path.socket : undefined, true);
    this.node.portProbing.introduced(peer, meeting.endpoint, path);
  }

  /** An identity became known: introductions to it can be followed. */
  met(peer: Peer): void {
    for (const { endpoint, path } of this.#introductions.take(peer.address, this.node.vl1.nowMs)) {
      this.#meet(peer, { endpoint }, path);
    }
  }

  #echo(received: Received): Outcome {
    const { vl1 } = this.node;
    const { peer, path, hops, id, payload } = received;
    const { nowMs } = vl1;
    // What a peer asks must not leave a root unanswered that it asks by, or claims to be at.
    const asked = hops > 0 ? peer : peer.find(path) ?? path;
    if (asked.echoesUntilMs - nowMs > ECHO_GATE_MS * (ECHO_BURST - 1)) {
      vl1.counters.drop("rate");
      return "dropped";
    }
    asked.echoesUntilMs = Math.max(asked.echoesUntilMs, nowMs) + ECHO_GATE_MS;
    const w = new Writer(16 + payload.length);
    encodeInRe({ inReVerb: Verb.ECHO, inRePacketId: id }, w);
    vl1.reply(peer, path, Verb.OK, w.raw(payload).finish());
    return "received";
  }

  /** After a HELLO was answered: surface, then what every received packet brings. */
  greeted({ peer, path, hops, id, hello }: Greeting): void {
    if (hops === 0 && hello.sentTo) this.#reportSurface(peer, path, hello.sentTo);
    this.node.received({ peer, path, hops, verb: Verb.HELLO, id }, false);
    // A root greets when it met us anew, after a restart: it may have forgotten our groups.
    if (this.node.vl1.upstreams.isUpstream(peer.address)) this.node.networks.upstreamReached();
  }
}
