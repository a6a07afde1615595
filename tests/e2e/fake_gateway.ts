/**
 * A home router's side of port mapping, run inside a lab host: speaks PCP, NAT-PMP or UPnP IGD,
 * whichever it is told, and prints one line per mapping made ("+ip/port") or taken back
 * ("-ip/port"). It maps nothing: what is asked is the test.
 *
 *     fake_gateway.ts <pcp|pcp6|nat-pmp|upnp> <its address> <its public address>
 *
 * A program of its own because sockets belong to the namespace of the process that opens them.
 * @module
 */
import { Buffer } from "node:buffer";
import { createSocket, type RemoteInfo } from "node:dgram";
import { createServer } from "node:http";

const [mode, ownIp, publicIp] = Deno.args;
const EXTERNAL_PORT = 40_404; // never the one wished
const publicBytes = publicIp.split(".").map(Number);

function say(sign: string, ip: string, port: number): void {
  console.log(`${sign}${ip}/${port}`);
}

function natPmp(request: Buffer, from: RemoteInfo): Buffer | undefined {
  if (request[0] !== 0) return Buffer.from([0, 128 + request[1], 0, 1, 0, 0, 0, 0]);
  if (request[1] === 0) return Buffer.from([0, 128, 0, 0, 0, 0, 0, 1, ...publicBytes]);
  const answer = Buffer.alloc(16);
  answer[1] = 128 + request[1];
  request.copy(answer, 8, 4, 12);
  const lifetimeS = request.readUInt32BE(8);
  answer.writeUInt16BE(lifetimeS === 0 ? 0 : EXTERNAL_PORT, 10);
  say(lifetimeS === 0 ? "-" : "+", from.address, request.readUInt16BE(4));
  return answer;
}

function pcp(request: Buffer, from: RemoteInfo): Buffer | undefined {
  if (request[0] !== 2 || request.length < 60) return undefined;
  const answer = Buffer.from(request);
  answer[1] |= 128;
  if (mode === "pcp6") {
    request.copy(answer, 42, 40, 42); // a hole in the firewall: address and port stay
    request.copy(answer, 44, 8, 24);
  } else {
    answer.writeUInt16BE(EXTERNAL_PORT, 42);
    answer.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...publicBytes], 44);
  }
  answer.fill(0, 8, 24);
  say(request.readUInt32BE(4) === 0 ? "-" : "+", from.address, request.readUInt16BE(40));
  return answer;
}

function serveUdp(answer: (request: Buffer, from: RemoteInfo) => Buffer | undefined): void {
  const socket = createSocket(mode === "pcp6" ? "udp6" : "udp4");
  socket.on("message", (request, from) => {
    const reply = answer(request, from);
    if (reply) socket.send(reply, from.port, from.address);
  });
  socket.bind(5351, ownIp, () => console.log("ready"));
}

const DESCRIPTION = `<?xml version="1.0"?><root><device><serviceList><service>
<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>/ctl</controlURL>
</service></serviceList></device></root>`;

function soap(body: string): [status: number, body: string] {
  const arg = (name: string) => new RegExp(`<${name}>(.*?)</${name}>`).exec(body)?.[1] ?? "";
  if (body.includes("GetExternalIPAddress")) {
    return [200, `<NewExternalIPAddress>${publicIp}</NewExternalIPAddress>`];
  }
  if (body.includes("GetSpecificPortMappingEntry")) return [500, "<errorCode>714</errorCode>"];
  if (body.includes("AddPortMapping")) {
    const description = arg("NewPortMappingDescription");
    console.log(description);
    say("+", arg("NewInternalClient"), Number(arg("NewInternalPort")));
  }
  if (body.includes("DeletePortMapping")) say("-", "", Number(arg("NewExternalPort")));
  return [200, "<ok/>"];
}

function serveUpnp(): void {
  const http = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const [status, body] = request.method === "GET"
        ? [200, DESCRIPTION]
        : soap(Buffer.concat(chunks).toString());
      response.writeHead(status as number, { "Content-Type": "text/xml" });
      response.end(body);
    });
  });
  const ssdp = createSocket({ type: "udp4", reuseAddr: true });
  ssdp.on("message", (bytes, from) => {
    if (!bytes.toString().startsWith("M-SEARCH")) return;
    const answer = `HTTP/1.1 200 OK\r\nLOCATION: http://${ownIp}:5000/root.xml\r\n\r\n`;
    ssdp.send(answer, from.port, from.address);
  });
  http.listen(5000, ownIp, () => ssdp.bind(1900, "0.0.0.0", () => console.log("ready")));
}

if (mode === "upnp") serveUpnp();
else serveUdp(mode === "nat-pmp" ? natPmp : pcp);
