/**
 * One machine of a scenario: a lab host with a home folder, on which either program runs as the node. Both are driven
 * the same way, through the local API and `zerotier-cli`.
 * @module
 */
import assert from "node:assert/strict";
import type { Lab, LabHost } from "../../cli/engine/lab.ts";
import { V8_FLAGS } from "../../cli/engine/self_command.ts";
import type { NetworkInfo, PeerInfo, StatusInfo } from "../../cli/api/view.ts";
import { Agent } from "./agent_client.ts";
import { referencePath } from "./reference.ts";

/** Whose program. */
export type Kind = "zt" | "reference";

const MAIN = new URL("../../cli/main.ts", import.meta.url).pathname;
const PORT = 9993;
/** Where agents answer. */
export const SERVE_PORT = 7_700;
/** A reference needs 5 s to be online; the rest is for a machine that is busy with other things. */
export const PATIENCE_MS = 60_000;
const POLL_MS = 50;
const TUNNEL_HEADERS_BYTES = 28; // IPv4 and UDP

/** What `GET /zt/status` says of packets. */
export interface PacketCounts {
  ciphers: Record<"sent" | "received", { salsa: number; aes: number; none: number }>;
  data: { statistics: { datagrams_in: number; datagrams_out: number } };
  drops: Record<string, number>;
}

/** What a program printed, and how it ended. */
export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** The program and first words that run as `personality`, whose arguments follow. */
export function programOf(
  kind: Kind,
  personality: "zerotier-one" | "zerotier-cli" | "zerotier-idtool",
): string[] {
  if (kind === "zt") return [...ztProgram(), personality];
  const switches = { "zerotier-one": [], "zerotier-cli": ["-q"], "zerotier-idtool": ["-i"] };
  return [referencePath(), ...switches[personality]];
}

/** Our own program: from source, or what `ZT_BINARY` names. */
export function ztProgram(): string[] {
  const binary = Deno.env.get("ZT_BINARY");
  return binary ? [binary] : [Deno.execPath(), "run", "--no-prompt", V8_FLAGS, "-A", MAIN];
}

export class Station {
  readonly host: LabHost;
  readonly agent: Agent;
  #process: Deno.ChildProcess | undefined;

  constructor(
    readonly lab: Lab,
    readonly name: string,
    /** Which program runs here; may be changed while stopped. */
    public kind: Kind,
    readonly home: string,
  ) {
    this.host = lab.host(name);
    this.agent = new Agent(lab, this.host);
  }

  /** Starts the node and waits for its API. */
  async start(): Promise<void> {
    const [command, ...words] = programOf(this.kind, "zerotier-one");
    const env = { ZEROTIER_HOME: this.home };
    const quiet = Deno.env.get("ZT_INTEROP_LOG") ? "inherit" : "null";
    const args = [...words, "-U", `-p${PORT}`, this.home];
    const options = { env, stdout: quiet, stderr: quiet, stdin: "null" } as const;
    this.#process = this.lab.spawn(this.host, command, args, options);
    await this.until("its API answers", async () => {
      return (await this.request("GET", "/status")).status === 200;
    });
    await this.agent.ask("serve", { port: SERVE_PORT });
  }

  /** Ends the node in order, as a service manager does. */
  async stop(): Promise<void> {
    this.#process?.kill("SIGTERM");
    await this.#process?.status;
    this.#process = undefined;
  }

  /** Ends the node at once, as a power cut does. */
  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.status;
    this.#process = undefined;
  }

  /** Nothing of it runs until {@linkcode Station.resume}, as while a machine sleeps; but the clocks go on. */
  suspend(): void {
    this.#process?.kill("SIGSTOP");
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Runs a program inside this host to its end. */
  async run(program: readonly string[], ...args: string[]): Promise<Ran> {
    const [command, ...words] = program;
    const child = this.lab.spawn(this.host, command, [...words, ...args], {
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      cwd: this.home,
    });
    const { code, stdout, stderr } = await child.output();
    const text = new TextDecoder();
    return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
  }

  /** `zerotier-cli` of either program, on this node. */
  cli(kind: Kind, ...args: string[]): Promise<Ran> {
    return this.run(programOf(kind, "zerotier-cli"), `-D${this.home}`, ...args);
  }

  /** `zt` on this node's home. @throws when it fails */
  async zt(...args: string[]): Promise<string> {
    const ran = await this.run(ztProgram(), "-D", this.home, ...args);
    assert.equal(ran.code, 0, `zt ${args.join(" ")}: ${ran.stdout}${ran.stderr}`);
    return ran.stdout;
  }

  /** One API request; status 0 while nothing answers. */
  async request(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; text: string }> {
    let token: string;
    try {
      token = (await Deno.readTextFile(`${this.home}/authtoken.secret`)).trim();
    } catch {
      return { status: 0, text: "" };
    }
    const text = body === undefined ? undefined : JSON.stringify(body);
    const task = { port: PORT, token, method, path, body: text };
    return await this.agent.ask("http", task).catch((error) => ({ status: 0, text: `${error}` }));
  }

  /** One API request that must succeed. @returns the parsed answer */
  async api<T>(method: string, path: string, body?: unknown): Promise<T> {
    const reply = await this.request(method, path, body);
    assert.equal(reply.status, 200, `${this.name}: ${method} ${path}: ${reply.text}`);
    return JSON.parse(reply.text) as T;
  }

  status(): Promise<StatusInfo> {
    return this.api<StatusInfo>("GET", "/status");
  }

  network(id: string): Promise<NetworkInfo> {
    return this.api<NetworkInfo>("GET", `/network/${id}`);
  }

  peers(): Promise<PeerInfo[]> {
    return this.api<PeerInfo[]>("GET", "/peer");
  }

  /** Only of our own program. */
  counts(): Promise<PacketCounts> {
    return this.api<PacketCounts>("GET", "/zt/status");
  }

  /** Waits until `check` is true. @throws naming what did not happen */
  async until(
    what: string,
    check: () => Promise<boolean>,
    patienceMs = PATIENCE_MS,
  ): Promise<void> {
    const untilMs = performance.now() + patienceMs;
    while (!(await check())) {
      if (performance.now() > untilMs) throw new Error(`${this.name}: never: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  online(patienceMs?: number): Promise<void> {
    return this.until("online", async () => (await this.status()).online, patienceMs);
  }

  /** Joins and waits for a usable network. @returns our address in it */
  async join(id: string, patienceMs?: number): Promise<string> {
    await this.api("POST", `/network/${id}`, {});
    return await this.joined(id, patienceMs);
  }

  /** Waits for a usable network. @returns our IPv4 address in it */
  async joined(id: string, patienceMs?: number): Promise<string> {
    await this.networkStatus(id, "OK", patienceMs);
    return await this.addressIn(id);
  }

  /** Waits until a network has that status. */
  async networkStatus(id: string, status: string, patienceMs = PATIENCE_MS): Promise<void> {
    const check = async () => (await this.network(id)).status === status;
    await this.until(`network ${status}`, check, patienceMs);
  }

  /** Waits for an IPv4 address in a network. */
  async addressIn(id: string): Promise<string> {
    let ip: string | undefined;
    await this.until("an address", async () => {
      const { assignedAddresses } = await this.network(id);
      ip = assignedAddresses.find((one) => one.includes("."))?.split("/")[0];
      return ip !== undefined;
    });
    return ip!;
  }

  /** Whether a datagram comes back within a moment. */
  async reaches(ip: string, patienceMs = 2_000, port = SERVE_PORT): Promise<boolean> {
    const count = patienceMs / POLL_MS;
    const { rttsMs } = await this.#ping(ip, 64, count, true, port);
    return rttsMs.length > 0;
  }

  /** Waits until datagrams come back. @returns milliseconds it took */
  async untilReaches(ip: string, port = SERVE_PORT): Promise<number> {
    const { rttsMs, totalMs } = await this.#ping(ip, 64, PATIENCE_MS / POLL_MS, true, port);
    assert(rttsMs.length > 0, `${this.name} never reaches ${ip} port ${port}`);
    return totalMs;
  }

  /** Datagrams there and back, as IP packets of that size; all must return. @returns round trips, sorted */
  async pings(ip: string, packetBytes: number, count = 20): Promise<number[]> {
    const { rttsMs } = await this.#ping(ip, packetBytes - TUNNEL_HEADERS_BYTES, count, false);
    assert.equal(rttsMs.length, count, `${this.name} to ${ip}: of ${count} with ${packetBytes} B`);
    return rttsMs.sort((a, b) => a - b);
  }

  #ping(ip: string, sizeBytes: number, count: number, untilFirst: boolean, port = SERVE_PORT) {
    const task = { ip, port, sizeBytes, count, intervalMs: POLL_MS, untilFirst };
    return this.agent.ask("ping", task);
  }

  /** A TCP stream whose hash must match at the other end. @returns megabits a second */
  async streams(ip: string, lengthBytes: number, hash = true): Promise<number> {
    const task = { ip, port: SERVE_PORT, lengthBytes, hash };
    const { equal, received, seconds } = await this.agent.ask("stream", task);
    assert(equal, `${this.name} to ${ip}: ${received} of ${lengthBytes} bytes, or others`);
    return lengthBytes * 8 / seconds / 1e6;
  }
}
