/**
 * Passing a tunnel's datagrams on by a UDP socket of its own. Only who was written to may answer,
 * so nobody else reaches a client through it.
 * @module
 */
import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
import { type Endpoint, formatEndpoint, formatIp, parseIp } from "../../../lib/base/ip.ts";
import type { Forwarder } from "./relay_hub.ts";

const TARGETS_MAX = 64; // who may answer one client: its roots and a few peers; the oldest goes first
const DATAGRAM_LENGTH_MIN = 16; // as the reference's relay: shorter ones are no packets

/** @param onDatagram Answers; bytes are lent */
export function openForwarder(
  family: 4 | 6,
  onDatagram: (from: Endpoint, bytes: Uint8Array) => void,
): Forwarder {
  const socket = createSocket(family === 4 ? "udp4" : "udp6");
  const targets = new Set<string>();
  let closed = false;
  socket.on("message", (bytes: Buffer, { address, port }) => {
    const ip = parseIp(address.split("%")[0]);
    if (!ip || bytes.length < DATAGRAM_LENGTH_MIN) return;
    const from = { ip, port };
    if (targets.has(formatEndpoint(from))) onDatagram(from, bytes);
  });
  socket.on("error", () => {}); // what cannot be sent is lost, as UDP may
  return {
    send(to, datagram) {
      if (closed) return;
      const key = formatEndpoint(to);
      targets.delete(key);
      if (targets.size >= TARGETS_MAX) targets.delete(targets.values().next().value!);
      targets.add(key);
      socket.send(Buffer.from(datagram), to.port, formatIp(to.ip), () => {});
    },
    close() {
      if (closed) return;
      closed = true;
      socket.close();
    },
  };
}
