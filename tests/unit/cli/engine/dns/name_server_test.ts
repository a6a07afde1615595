import { deepEqual, equal, rejects } from "node:assert/strict";
import { Resolver } from "node:dns/promises";
import { Buffer } from "node:buffer";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket as TcpSocket } from "node:net";
import {
  addressRecord,
  type Answer,
  encodeName,
  RecordType,
  ResponseCode,
} from "../../../../../cli/engine/dns/message.ts";
import { NameServer, type NameServerOptions } from "../../../../../cli/engine/dns/name_server.ts";
import { libc } from "../../../../../ffi/linux/libc.ts";
import { AF_INET, encodeSockaddr } from "../../../../../ffi/linux/sockaddr.ts";
import { Writer } from "../../../../../lib/base/bytes.ts";
import { formatIp, parseIp } from "../../../../../lib/base/ip.ts";

const ip = (text: string) => parseIp(text)!;
const NOTHING: Answer = { code: ResponseCode.NOERROR, answers: [], authorities: [] };
const MANY = Array.from({ length: 60 }, (_, i) => addressRecord(ip(`10.0.0.${i}`), 5));

function answer({ name, type }: { name: string; type: number }): Answer {
  if (name === "nas.zt" && type === RecordType.A) {
    return { ...NOTHING, answers: [addressRecord(ip("10.0.0.1"), 5)] };
  }
  if (name === "many.zt" && type === RecordType.A) return { ...NOTHING, answers: MANY };
  return { ...NOTHING, code: ResponseCode.NXDOMAIN };
}

function serverOf(changes: Partial<NameServerOptions> = {}): Promise<NameServer> {
  return NameServer.open({
    ip: ip("127.0.0.1"),
    port: 0,
    answer,
    isHeard: () => true,
    upstream: () => undefined,
    ...changes,
  });
}

function resolverOf(server: NameServer, at = "127.0.0.1"): Resolver {
  const resolver = new Resolver();
  resolver.setServers([`${at}:${server.port}`]);
  return resolver;
}

function question(name: string, id = 7): Uint8Array {
  const w = new Writer().u16(id).u16(0x0100).u16(1).u16(0).u32(0).raw(encodeName(name));
  return w.u16(RecordType.A).u16(1).finish();
}

/** Asks by UDP. */
async function ask(server: NameServer, bytes: Uint8Array): Promise<Uint8Array> {
  const socket = createSocket("udp4");
  try {
    socket.send(Buffer.from(bytes), server.port, "127.0.0.1");
    const [reply] = await once(socket, "message");
    return reply;
  } finally {
    socket.close();
  }
}

Deno.test("NameServer answers a system's resolver", async () => {
  const server = await serverOf();
  try {
    deepEqual(await resolverOf(server).resolve4("nas.zt"), ["10.0.0.1"]);
    await rejects(resolverOf(server).resolve4("printer.zt"), /ENOTFOUND|ENODATA/);
  } finally {
    server.close();
  }
});

Deno.test("NameServer cuts an answer that is too long for UDP, and gives it over TCP, one after the other", async () => {
  const server = await serverOf();
  const client = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  try {
    const cut = await ask(server, question("many.zt"));
    deepEqual([cut[2] & 2, cut[7]], [2, 0]);
    for (const id of [1, 2]) {
      const bytes = question("many.zt", id);
      await client.write(Uint8Array.of(0, bytes.length)); // comes in two pieces
      await client.write(bytes);
      const reply = await readReply(client);
      deepEqual([reply[1], reply[7]], [id, MANY.length]);
    }
    await client.write(Uint8Array.of(0xff, 0xff));
    equal(await client.read(new Uint8Array(1)), null, "no question is that long");
  } finally {
    client.close();
    server.close();
  }
});

async function readReply(client: Deno.Conn): Promise<Uint8Array> {
  const read = async (length: number) => {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) at += (await client.read(bytes.subarray(at)))!;
    return bytes;
  };
  const [high, low] = await read(2);
  return read(high << 8 | low);
}

Deno.test("NameServer is silent to answers, to garbage and to those it does not hear", async () => {
  const heard: string[] = [];
  const isHeard = (from: Uint8Array) => heard.push(formatIp(from)) > 1;
  const server = await serverOf({ isHeard });
  const socket = createSocket("udp4");
  const replies: number[] = [];
  socket.on("message", (reply: Uint8Array) => replies.push(reply[1]));
  try {
    const isAnswer = question("nas.zt", 3);
    isAnswer[2] |= 0x80;
    for (
      const bytes of [question("nas.zt", 2), isAnswer, new Uint8Array(5), question("nas.zt", 4)]
    ) {
      socket.send(Buffer.from(bytes), server.port, "127.0.0.1");
      await once(socket, "message", { signal: AbortSignal.timeout(200) }).catch(() => {});
    }
    deepEqual(replies, [4], "the first was not heard");
    equal(heard[0], "127.0.0.1");
  } finally {
    socket.close();
    server.close();
  }
});

/** Sends a UDP datagram under any source port, 0 as well, which needs a raw socket. */
function sendFrom(port: number, to: number, bytes: Uint8Array): void {
  const SOCK_RAW = 3;
  const IPPROTO_UDP = 17;
  const datagram = new Writer().u16(port).u16(to).u16(8 + bytes.length).u16(0).raw(bytes).finish();
  const address = encodeSockaddr({ ip: ip("127.0.0.1"), port: 0 });
  const fd = libc().socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
  try {
    const data = Uint8Array.from(datagram);
    equal(libc().sendto(fd, data, BigInt(data.length), 0, address, 16), data.length);
  } finally {
    libc().close(fd);
  }
}

Deno.test({
  name: "NameServer survives a question from port 0, which cannot be answered",
  ignore: Deno.uid() !== 0, // raw sockets
  fn: async () => {
    const server = await serverOf();
    try {
      sendFrom(0, server.port, question("nas.zt"));
      equal((await ask(server, question("nas.zt")))[7], 1);
    } finally {
      server.close();
    }
  },
});

Deno.test("NameServer keeps connections and questions to the controller for its own machine, whatever others do", async () => {
  const others = Array.from({ length: 40 }, (_, i) => `127.0.1.${i + 1}`);
  const controller = createSocket("udp4"); // says nothing
  controller.bind(0, "127.0.0.2");
  await once(controller, "listening");
  const asked: string[] = [];
  controller.on("message", (bytes) => asked.push(String.fromCharCode(...bytes.subarray(13, 16))));
  const server = await serverOf({
    port: controller.address().port,
    answer: ({ name }) => name === "nas.zt" ? answer({ name, type: RecordType.A }) : undefined,
    upstream: () => ip("127.0.0.2"),
  });
  const sockets = [...others, "127.0.0.1"].map(() => createSocket("udp4"));
  const clients: TcpSocket[] = [];
  try {
    for (const [i, socket] of sockets.entries()) {
      const localAddress = others[i] ?? "127.0.0.1";
      socket.bind(0, localAddress);
      await once(socket, "listening");
      const client = connect({ port: server.port, host: "127.0.0.1", localAddress });
      clients.push(client.on("error", () => {}));
      await once(client, "connect");
    }
    for (const socket of sockets.slice(0, -1)) {
      socket.send(Buffer.from(question("far.zt")), server.port, "127.0.0.1");
    }
    await once(sockets[32], "message"); // refused, at once
    sockets.at(-1)!.send(Buffer.from(question("own.zt")), server.port, "127.0.0.1");
    while (!asked.includes("own")) await once(controller, "message");
    equal(asked.filter((name) => name === "far").length, 32);
    const own = clients.at(-1)!;
    const bytes = question("nas.zt");
    own.write(Buffer.from(Uint8Array.of(0, bytes.length, ...bytes)));
    const [reply] = await Promise.race([once(own, "data"), once(own, "close")]);
    equal(reply[9], 1);
  } finally {
    for (const socket of [...sockets, controller]) socket.close();
    for (const client of clients) client.destroy();
    server.close();
  }
});

Deno.test("NameServer hangs up on a stranger over TCP", async () => {
  const server = await serverOf({ isHeard: () => false });
  const client = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  try {
    equal(await client.read(new Uint8Array(1)), null);
  } finally {
    client.close();
    server.close();
  }
});

Deno.test("NameServer asks the controller for what it alone knows, and fails when it is not there", async () => {
  const authority = await serverOf({ ip: ip("127.0.0.2") });
  const upstream = ip("127.0.0.2");
  const options = { port: authority.port, answer: () => undefined };
  const server = await serverOf({ ...options, upstream: () => upstream });
  try {
    deepEqual(await resolverOf(server).resolve4("nas.zt"), ["10.0.0.1"]);
    const reply = await ask(server, question("nas.zt", 0x1234));
    deepEqual([reply[0], reply[1]], [0x12, 0x34]);
    authority.close();
    equal((await ask(server, question("nas.zt")))[3] & 0xf, ResponseCode.SERVFAIL);
  } finally {
    authority.close();
    server.close();
  }
  const alone = await serverOf({ answer: () => undefined });
  equal((await ask(alone, question("nas.zt")))[3] & 0xf, ResponseCode.SERVFAIL);
  alone.close();
});

Deno.test("NameServer takes no answer of the controller's from anywhere else, nor to another question", async () => {
  const socketAt = async (address: string, port: number) => {
    const socket = createSocket("udp4");
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind(port, address, resolve);
    });
    return socket;
  };
  const place = async () => {
    const authority = await socketAt("127.0.0.2", 0);
    const { port } = authority.address();
    let otherIp: Socket | undefined;
    try {
      otherIp = await socketAt("127.0.0.3", port);
      const options = { port, answer: () => undefined, upstream: () => ip("127.0.0.2") };
      return { authority, otherIp, server: await serverOf(options) };
    } catch {
      // Somebody else's socket has that number at one of the other addresses.
      authority.close();
      otherIp?.close();
      return undefined;
    }
  };
  let found = await place();
  for (let tries = 1; !found && tries < 20; tries++) found = await place();
  const { authority, otherIp, server } = found!;
  const otherPort = await socketAt("127.0.0.2", 0);
  authority.on("message", (asked, from) => {
    const reply = (changed: number[]) => {
      const bytes = Buffer.from(asked);
      bytes[2] = 0x84;
      for (const at of changed) bytes[at] ^= 1;
      return bytes;
    };
    const lies: [Socket, number[]][] = [[otherPort, [3]], [otherIp, [3]], [authority, [0, 3]]];
    for (const [socket, changed] of lies) socket.send(reply(changed), from.port, from.address);
    // Later than those: the first that counts is the one that is taken.
    setTimeout(() => authority.send(reply([]), from.port, from.address), 20);
  });
  try {
    equal((await ask(server, question("nas.zt")))[3], 0);
  } finally {
    for (const socket of [authority, otherPort, otherIp]) socket.close();
    server.close();
  }
});

Deno.test("NameServer.open() leaves a port alone that another server has, on UDP, TCP or all addresses", async () => {
  const server = await serverOf();
  await rejects(serverOf({ port: server.port }), "taken on both");
  server.close();
  const udp = createSocket("udp4");
  await new Promise<void>((resolve) => udp.bind(0, "0.0.0.0", resolve));
  await rejects(serverOf({ port: udp.address().port }), "UDP, all addresses");
  udp.close();
  const tcp = Deno.listen({ hostname: "0.0.0.0", port: 0 });
  await rejects(serverOf({ port: tcp.addr.port }), "TCP, all addresses");
  tcp.close();
});
