/**
 * The server of a network's names, on one of this machine's addresses there, port 53, UDP and TCP.
 *
 * Heard are only those who ask from addresses of the network: what another interface brings in
 * under a false address would be answered into the network, to nobody. Nobody is asked for anything
 * on behalf of others, except the controller of a large network for a name of it.
 *
 * Source: RFC 1035 section 4.2, RFC 7766.
 * @module
 */
import { Buffer } from "node:buffer";
import { createSocket, type Socket } from "node:dgram";
import { WireError } from "../../../lib/base/errors.ts";
import { formatIp, type Ip, parseIp, sameIp } from "../../../lib/base/ip.ts";
import {
  type Answer,
  decodeQuery,
  encodeAnswer,
  type Query,
  QUESTION_LENGTH_MAX,
  ResponseCode,
  udpLengthMax,
} from "./message.ts";

const PORT = 53;
const TCP_CLIENTS_MAX = 32; // at a time: bounds descriptors; a client that comes then is hung up on
const TCP_IDLE_MS = 5_000; // RFC 7766 asks for a few seconds
const TCP_LENGTH_MAX = 65_535;
const FORWARDS_MAX = 64; // questions waiting for the controller: bounds descriptors
const OTHERS_PART = 1 / 2; // of each that other members may take: this machine's own programs are always heard
const FORWARD_PATIENCE_MS = 2_000; // programs ask again after five

/** What a server is made with. */
export interface NameServerOptions {
  /** Address to listen at. */
  readonly ip: Ip;
  /** 53, but in tests. */
  readonly port?: number;
  /** Undefined: only {@linkcode NameServerOptions.upstream} can know. */
  readonly answer: (query: Query) => Answer | undefined;
  /** Whether to hear who asks from there. */
  readonly isHeard: (from: Ip) => boolean;
  /** Where the controller answers; undefined when that is not known, or ourselves. */
  readonly upstream: () => Ip | undefined;
}

export class NameServer {
  readonly #options: NameServerOptions;
  readonly #udp: Socket;
  readonly #tcp: Deno.TcpListener;
  readonly #clients = new Map<Deno.TcpConn, Ip>(); // and who each is
  readonly #forwards = new Map<() => void, Ip>(); // each ends one, for whom
  #isClosed = false;
  #isBroken = false;

  private constructor(options: NameServerOptions, udp: Socket, tcp: Deno.TcpListener) {
    this.#options = options;
    this.#udp = udp;
    this.#tcp = tcp;
    udp.on("message", (bytes, { address, port }) => {
      this.#datagram(bytes, address, port).catch(() => {}); // who cannot be answered is not
    });
    udp.on("error", () => {}); // what cannot be sent is lost, as UDP may
    this.#accept();
  }

  /** @throws when the address has no such port to give, e.g. because another server has it */
  static async open(options: NameServerOptions): Promise<NameServer> {
    const { ip, port = PORT } = options;
    const hostname = formatIp(ip);
    const tcp = Deno.listen({ hostname, port });
    const udp = createSocket(ip.length === 4 ? "udp4" : "udp6");
    try {
      await new Promise<void>((resolve, reject) => {
        udp.once("error", reject);
        udp.bind(tcp.addr.port, hostname, resolve);
      });
    } catch (error) {
      tcp.close();
      udp.close();
      throw error;
    }
    udp.removeAllListeners("error");
    return new NameServer(options, udp, tcp);
  }

  /** Whether it hears no more, though nobody closed it: make another one. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  get port(): number {
    return this.#tcp.addr.port;
  }

  async #datagram(bytes: Uint8Array, address: string, port: number): Promise<void> {
    const from = parseIp(address.split("%")[0]);
    if (!from || port === 0 || !this.#options.isHeard(from)) return; // nothing can be sent to port 0
    const reply = await this.#reply(bytes, from, udpLengthMax);
    if (reply && !this.#isClosed) this.#udp.send(Buffer.from(reply), port, address, () => {});
  }

  /** @returns undefined when the message deserves no answer */
  async #reply(
    bytes: Uint8Array,
    from: Ip,
    lengthMax: (query: Query) => number,
  ): Promise<Uint8Array | undefined> {
    let query: Query;
    try {
      query = decodeQuery(bytes);
    } catch (error) {
      if (error instanceof WireError) return undefined;
      throw error;
    }
    const answer = this.#options.answer(query);
    if (answer) return encodeAnswer(query, answer, lengthMax(query));
    const forwarded = await this.#forward(bytes, from, query);
    if (forwarded) return forwarded;
    const failure = { code: ResponseCode.SERVFAIL, answers: [], authorities: [] };
    return encodeAnswer(query, failure, lengthMax(query));
  }

  // TCP

  async #accept(): Promise<void> {
    try {
      for await (const client of this.#tcp) {
        const { hostname } = client.remoteAddr;
        const from = parseIp(hostname.split("%")[0]);
        const isTaken = from && this.#options.isHeard(from) &&
          this.#hasRoom(this.#clients, TCP_CLIENTS_MAX, from);
        if (isTaken) {
          this.#clients.set(client, from);
          this.#serve(client, from);
        } else client.close();
      }
    } catch {
      this.#isBroken = !this.#isClosed; // e.g. no descriptors left
    }
  }

  /** Whether one more of somebody's may be added to what is going on. */
  #hasRoom(all: ReadonlyMap<unknown, Ip>, max: number, from: Ip): boolean {
    const own = this.#options.ip;
    if (all.size >= max || sameIp(from, own)) return all.size < max;
    return [...all.values()].filter((one) => !sameIp(one, own)).length < max * OTHERS_PART;
  }

  /** One question after the other, until the client goes or says nothing for a while. */
  async #serve(client: Deno.TcpConn, from: Ip): Promise<void> {
    let idle: ReturnType<typeof setTimeout> | undefined;
    const close = () => {
      clearTimeout(idle);
      if (this.#clients.delete(client)) client.close();
    };
    try {
      for (;;) {
        clearTimeout(idle);
        idle = setTimeout(close, TCP_IDLE_MS);
        const bytes = await readMessage(client);
        const reply = bytes && await this.#reply(bytes, from, () => TCP_LENGTH_MAX);
        if (!reply) break;
        await writeAll(client, Uint8Array.of(reply.length >> 8, reply.length & 0xff, ...reply));
      }
    } catch {
      // hung up
    } finally {
      close();
    }
  }

  // Names of a large network

  /** Asks the controller. @returns its answer as it came, or undefined */
  #forward(bytes: Uint8Array, from: Ip, { id }: Query): Promise<Uint8Array | undefined> {
    const upstream = this.#options.upstream();
    const isTaken = upstream && this.#hasRoom(this.#forwards, FORWARDS_MAX, from);
    if (!isTaken) return Promise.resolve(undefined);
    const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
    const socket = createSocket(upstream.length === 4 ? "udp4" : "udp6"); // a port of its own: hard to guess
    const end = (reply?: Uint8Array) => {
      clearTimeout(timer);
      if (this.#forwards.delete(giveUp)) socket.close();
      resolve(reply);
    };
    const giveUp = () => end();
    const timer = setTimeout(giveUp, FORWARD_PATIENCE_MS);
    const question = Uint8Array.from(bytes);
    const otherId = crypto.getRandomValues(new Uint8Array(2));
    question.set(otherId);
    this.#forwards.set(giveUp, from);
    const { port = PORT } = this.#options;
    socket.on("message", (reply, { address, port: replyPort }) => {
      const ip = parseIp(address);
      const isReply = ip && sameIp(ip, upstream) && replyPort === port && reply.length > 2 &&
        reply[0] === otherId[0] && reply[1] === otherId[1];
      if (isReply) end(Uint8Array.of(id >> 8, id & 0xff, ...reply.subarray(2)));
    });
    socket.on("error", giveUp);
    socket.send(Buffer.from(question), port, formatIp(upstream), (error) => error && giveUp());
    return promise;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#tcp.close();
    this.#udp.close();
    for (const client of this.#clients.keys()) client.close();
    this.#clients.clear();
    for (const giveUp of this.#forwards.keys()) giveUp();
  }
}

/** @returns undefined when the other side ended, or says something else */
async function readMessage(from: Deno.TcpConn): Promise<Uint8Array | undefined> {
  const length = await readExactly(from, 2);
  const lengthBytes = length ? length[0] << 8 | length[1] : 0;
  const isSane = lengthBytes > 0 && lengthBytes <= QUESTION_LENGTH_MAX;
  return isSane ? await readExactly(from, lengthBytes) : undefined;
}

/** @returns undefined when the other side ended before */
async function readExactly(from: Deno.TcpConn, length: number): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const count = await from.read(bytes.subarray(at));
    if (count === null) return undefined;
    at += count;
  }
  return bytes;
}

async function writeAll(to: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}
