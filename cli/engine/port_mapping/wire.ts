/**
 * Datagrams between us and the gateways around us: a socket of its own, apart from the node's, read
 * only while an answer is waited for. Every answer is bounded: longer datagrams than a gateway
 * sends are dropped by the system call.
 * @module
 */
import { Block } from "../../../ffi/linux/block.ts";
import { BATCH_COUNT, ReceiveBatch } from "../../../ffi/linux/mmsg.ts";
import type { Machine } from "../../../ffi/mod.ts";
import { type Endpoint, type Ip, sameEndpoint } from "../../../lib/base/ip.ts";

const DATAGRAM_LENGTH_MAX = 2_048; // PCP allows 1100 bytes, SSDP answers take about 500
const POLL_MS = 20; // how often a socket is looked at while an answer is due: a gateway is a millisecond away

/** A datagram that came in. */
export interface Datagram {
  readonly from: Endpoint;
  readonly bytes: Uint8Array;
}

/** A UDP socket towards gateways. */
export interface Wire {
  /** @returns false when the system did not take it */
  send(to: Endpoint, bytes: Uint8Array): boolean;
  /** What came since last asked, {@linkcode BATCH_COUNT} at most; never waits. */
  receive(): Datagram[];
  close(): void;
}

/** Opens a socket on one of our addresses. @throws {SystemError} when the address is gone */
export function openWire(machine: Machine, ip: Ip, device: string | undefined): Wire {
  const udp = machine.openUdp({ ip, port: 0, device });
  const arena = new Block(BATCH_COUNT * DATAGRAM_LENGTH_MAX);
  const batch = new ReceiveBatch(arena, 0, DATAGRAM_LENGTH_MAX);
  return {
    send: (to, bytes) => udp.sendTo(bytes, to),
    receive: () => {
      const datagrams: Datagram[] = [];
      const count = batch.receive(udp.fd);
      for (let i = 0; i < count; i++) {
        const at = batch.payloadAt(i);
        const length = batch.payloadLength(i);
        if (length < 0) continue;
        const ipAt = batch.ipAt(i);
        const from = {
          ip: batch.names.slice(ipAt, ipAt + batch.ipLength(i)),
          port: batch.port(i),
        };
        datagrams.push({ from, bytes: arena.bytes.slice(at, at + length) });
      }
      return datagrams;
    },
    close: () => udp.close(),
  };
}

/** Resolves after a while, or at once when the signal aborts or the time is over already. */
export function pause(delayMs: number, signal?: AbortSignal): Promise<void> {
  if (delayMs <= 0 || signal?.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, delayMs);
  const end = () => resolve();
  signal?.addEventListener("abort", end, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
  });
}

/** One question to one gateway. */
export interface Question<T> {
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
  /** Reads an answer; undefined when it is none, or none of ours. */
  readonly accept: (bytes: Uint8Array) => T | undefined;
  /** How long each try waits before the question goes out again; the last ends it. */
  readonly tryMs: readonly number[];
  readonly signal?: AbortSignal;
}

/** Asks until answered. Only the one asked is listened to. @returns undefined when nobody answers */
export async function ask<T>(wire: Wire, question: Question<T>): Promise<T | undefined> {
  const { to, bytes, accept, signal } = question;
  for (const tryMs of question.tryMs) {
    wire.send(to, bytes);
    for (let waitedMs = 0; waitedMs < tryMs && !signal?.aborted; waitedMs += POLL_MS) {
      await pause(POLL_MS, signal);
      for (const datagram of wire.receive()) {
        const answer = sameEndpoint(datagram.from, to) ? accept(datagram.bytes) : undefined;
        if (answer !== undefined) return answer;
      }
    }
    if (signal?.aborted) return undefined;
  }
  return undefined;
}
