/**
 * The HTTP proxy in force: where it is, what came of using it, and when to leave it alone. A proxy
 * that is wrong must cost the attempts to connect directly nothing, and a wrong password must not
 * be repeated until the account is locked.
 * @module
 */
import { lookup as lookupName } from "node:dns";
import { type Ip, parseIp, sameIp } from "../../../lib/base/ip.ts";
import { formatHttpProxy, type HttpProxy, type ProxyChoice } from "./http_proxy.ts";
import type { ProxyHop, ProxyTrouble } from "./proxy_dial.ts";

const LOOKUP_MS = 2_000; // a name that takes longer is none: an attempt must end in seconds
const PASSWORD_PAUSE_MS = 600_000; // after a 407: accounts are locked after a few of them within minutes
const SILENT_PAUSE_MS = 15_000; // an address that swallows connections holds an attempt up for four seconds
const ADDRESSES_MAX = 2; // of one name: one a family

/** What it needs. */
export interface ProxyInUseOptions {
  /** The choice of now; asked again each time. */
  readonly choice: () => ProxyChoice | undefined;
  readonly nowMs: () => number;
  /** Told what is wrong, once for each kind of trouble. */
  readonly log: (line: string) => void;
  /** Addresses of a name, [] for none; for tests. */
  readonly lookup?: (host: string) => Promise<Ip[]>;
}

/** What may be shown of it. */
export type ProxyView = {
  /** "host:port". */
  address: string;
  /** "local.conf", or the environment variable that names it. */
  source: string;
  /** What was wrong when it was used last, in one line; null when nothing was, or it was not used yet. */
  trouble: string | null;
};

export class ProxyInUse {
  readonly #options: ProxyInUseOptions;
  #key = ""; // of the choice that what follows is about
  #trouble: ProxyTrouble | undefined;
  #passwordMs = -Infinity; // until then it is left alone
  #silent: { ip: Ip; untilMs: number }[] = []; // ADDRESSES_MAX at most
  /** The question under way, so that a resolver that hangs is not asked again and again. */
  #looking: { host: string; answer: Promise<Ip[]> } | undefined;

  constructor(options: ProxyInUseOptions) {
    this.#options = options;
  }

  /** The choice of now; a new one begins with a clean slate. */
  get choice(): ProxyChoice | undefined {
    const choice = this.#options.choice();
    const key = choice?.proxy ? keyOf(choice.proxy) : "";
    if (key !== this.#key) {
      this.forget();
      this.#key = key;
    }
    return choice;
  }

  /** Undefined when there is no proxy. */
  get view(): ProxyView | undefined {
    const { choice } = this;
    if (!choice) return undefined;
    const { proxy, source } = choice;
    if (!proxy) {
      return { address: "?", source, trouble: "is not of the kind http://host:port: not used" };
    }
    return { address: formatHttpProxy(proxy), source, trouble: this.#trouble?.text ?? null };
  }

  /** Whether there may be a way through it now. */
  get isUsable(): boolean {
    return this.choice?.proxy !== undefined && this.#options.nowMs() >= this.#passwordMs;
  }

  /** Where it is, without the addresses that swallowed connections just now. Takes {@linkcode LOOKUP_MS} at most. */
  async hops(): Promise<ProxyHop[]> {
    const proxy = this.choice?.proxy;
    if (!proxy) return [];
    const ips = await this.#addressesOf(proxy.host);
    if (ips.length === 0) this.#note(proxy, { kind: "unreachable", text: "has no address" });
    const nowMs = this.#options.nowMs();
    const isSilent = (ip: Ip) =>
      this.#silent.some((one) => sameIp(one.ip, ip) && nowMs < one.untilMs);
    return ips.filter((ip) => !isSilent(ip)).map((ip) => ({ proxy, at: { ip, port: proxy.port } }));
  }

  async #addressesOf(host: string): Promise<Ip[]> {
    const literal = parseIp(host);
    if (literal) return [literal];
    if (this.#looking?.host !== host) {
      const lookup = this.#options.lookup ?? systemLookup;
      const looking = { host, answer: lookup(host) };
      this.#looking = looking;
      looking.answer.finally(() => {
        if (this.#looking === looking) this.#looking = undefined;
      });
    }
    const ips = await inTime(this.#looking!.answer, LOOKUP_MS);
    const first = ips.slice(0, 1);
    const other = ips.filter((ip) => ip.length !== first[0].length).slice(0, 1);
    return [...first, ...other];
  }

  /** What came of asking it for a way. @param trouble Undefined when it let us through */
  note({ proxy, at }: ProxyHop, trouble: ProxyTrouble | undefined): void {
    if (trouble?.kind === "silent") {
      const untilMs = this.#options.nowMs() + SILENT_PAUSE_MS;
      const others = this.#silent.filter(({ ip }) => !sameIp(ip, at.ip));
      this.#silent = [...others, { ip: at.ip, untilMs }].slice(-ADDRESSES_MAX);
    }
    this.#note(proxy, trouble);
  }

  #note(proxy: HttpProxy, trouble: ProxyTrouble | undefined): void {
    if (!this.choice?.proxy || keyOf(proxy) !== this.#key) return; // of another choice
    const isPassword = trouble?.kind === "password";
    this.#passwordMs = isPassword ? this.#options.nowMs() + PASSWORD_PAUSE_MS : -Infinity;
    // Words differ from relay to relay, and each attempt asks for several.
    if (trouble && trouble.kind !== this.#trouble?.kind) {
      this.#options.log(`the HTTP proxy ${formatHttpProxy(proxy)} ${trouble.text}`);
    }
    this.#trouble = trouble;
  }

  /** The network is another one, or the proxy is: what failed before may work now. */
  forget(): void {
    this.#trouble = undefined;
    this.#passwordMs = -Infinity;
    this.#silent = [];
  }
}

function keyOf({ host, port, authorization = "" }: HttpProxy): string {
  return `${host} ${port} ${authorization}`;
}

/** As every program here finds names, `/etc/hosts` included. */
function systemLookup(host: string): Promise<Ip[]> {
  const { promise, resolve } = Promise.withResolvers<Ip[]>();
  lookupName(host, { all: true }, (error, found) => {
    resolve(error ? [] : found.flatMap(({ address }) => parseIp(address.split("%")[0]) ?? []));
  });
  return promise;
}

function inTime(answer: Promise<Ip[]>, patienceMs: number): Promise<Ip[]> {
  const { promise, resolve } = Promise.withResolvers<Ip[]>();
  const timer = setTimeout(() => resolve([]), patienceMs);
  answer.then(resolve);
  return promise.finally(() => clearTimeout(timer));
}
