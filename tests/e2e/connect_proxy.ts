/**
 * A small HTTP proxy that knows CONNECT and nothing else: for tests of what goes through one.
 *
 *     connect_proxy.ts <address> <port> [<user>:<password>]     says "ready", then each request and how it was answered
 *
 * As a program it runs inside a lab host, for sockets belong to the namespace of the process that opens them.
 * @module
 */
const HEAD_LENGTH_MAX = 8_192;
const READ_BYTES = 4_096;

/** A proxy at work. */
export interface ConnectProxy {
  readonly port: number;
  /** "<target> <status>", in order. */
  readonly answered: string[];
  close(): void;
}

/** @param credentials "user:password" that must be given; undefined lets everybody in */
export function startConnectProxy(
  hostname: string,
  port: number,
  credentials: string | undefined,
  tell: (line: string) => void = () => {},
): ConnectProxy {
  const listener = Deno.listen({ hostname, port });
  const conns = new Set<Deno.Conn>();
  const answered: string[] = [];
  const wanted = credentials === undefined ? "" : `Basic ${btoa(credentials)}`;
  const answer = (line: string) => {
    answered.push(line);
    tell(line);
  };
  void (async () => {
    for await (const conn of listener) {
      conns.add(conn);
      void serve(conn, conns, wanted, answer).catch(() => {}).finally(() => end(conns, conn));
    }
  })().catch(() => {});
  return {
    port: (listener.addr as Deno.NetAddr).port,
    answered,
    close() {
      listener.close();
      for (const conn of [...conns]) end(conns, conn);
    },
  };
}

function end(conns: Set<Deno.Conn>, conn: Deno.Conn): void {
  if (!conns.delete(conn)) return;
  try {
    conn.close();
  } catch {
    // It was.
  }
}

async function serve(
  conn: Deno.Conn,
  conns: Set<Deno.Conn>,
  wanted: string,
  answer: (line: string) => void,
): Promise<void> {
  const head = await readHead(conn);
  const [, host, port] = /^CONNECT \[?([^\]\s]+?)\]?:(\d+) HTTP\/1\.1\r\n/.exec(head) ?? [];
  const given = /\r\nProxy-Authorization: (.*)\r\n/.exec(head)?.[1] ?? "";
  const target = `${host}/${port}`;
  const refuse = async (status: string, field = "") => {
    answer(`${target} ${status}`);
    await say(conn, `HTTP/1.1 ${status} No\r\n${field}Content-Length: 0\r\n\r\n`);
  };
  if (!host) return await refuse("405");
  if (given !== wanted) return await refuse("407", 'Proxy-Authenticate: Basic realm="lab"\r\n');
  let far: Deno.Conn;
  try {
    far = await Deno.connect({ hostname: host, port: Number(port) });
  } catch {
    return await refuse("503");
  }
  conns.add(far);
  answer(`${target} 200`);
  await say(conn, "HTTP/1.1 200 Connection established\r\n\r\n");
  const pipes = [conn.readable.pipeTo(far.writable), far.readable.pipeTo(conn.writable)];
  await Promise.race(pipes.map((pipe) => pipe.catch(() => {})));
  end(conns, far);
}

async function readHead(conn: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(READ_BYTES);
  let head = "";
  while (!head.includes("\r\n\r\n") && head.length < HEAD_LENGTH_MAX) {
    const length = await conn.read(buffer);
    if (length === null) break;
    head += new TextDecoder("latin1").decode(buffer.subarray(0, length));
  }
  return head;
}

async function say(conn: Deno.Conn, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

if (import.meta.main) {
  const [hostname, port, credentials] = Deno.args;
  startConnectProxy(hostname, Number(port), credentials, (line) => console.log(line));
  console.log("ready");
}
