/**
 * One side of multicast DNS, run inside a lab host: answers for `printer.local`, or asks for it
 * until an answer comes, and prints the address it says.
 *
 *     mdns_peer.ts <answer|ask> <own address> [<device>]
 *
 * With a device it speaks IPv6 there, else IPv4.
 *
 * A program of its own because sockets belong to the namespace of the process that opens them.
 * @module
 */
import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";

const PORT = 5353;
const ASK_EVERY_MS = 200;
const IS_ANSWER = 0x8400; // a response, authoritative
const NAME = Buffer.from("\x07printer\x05local\0", "latin1");

const [mode, ownIp, device] = Deno.args;
const group = device ? "ff02::fb" : "224.0.0.251";
const here = device ? `::%${device}` : ownIp;
const header = (flags: number, questions: number, answers: number) =>
  Buffer.from([0, 0, flags >> 8, flags & 0xff, 0, questions, 0, answers, 0, 0, 0, 0]);
const query = Buffer.concat([header(0, 1, 0), NAME, Buffer.from([0, 1, 0, 1])]);
const answer = Buffer.concat([
  header(IS_ANSWER, 0, 1),
  NAME,
  Buffer.from([0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4, ...ownIp.split(".").map(Number)]),
]);

const socket = createSocket({ type: device ? "udp6" : "udp4", reuseAddr: true, ipv6Only: true });
socket.on("message", (message) => {
  if (!message.includes(NAME)) return;
  const isAnswer = message.readUInt16BE(2) === IS_ANSWER;
  if (mode === "answer" && !isAnswer) socket.send(answer, PORT, group);
  if (mode === "ask" && isAnswer) {
    console.log([...message.subarray(-4)].join("."));
    Deno.exit(0);
  }
});
socket.bind(PORT, device ? "::" : "0.0.0.0", () => {
  socket.addMembership(group, here);
  socket.setMulticastInterface(here);
  socket.setMulticastLoopback(false);
  if (mode === "ask") setInterval(() => socket.send(query, PORT, group), ASK_EVERY_MS);
  else console.log("ready");
});
