/**
 * The name servers of networks, their own where the user allows them (`allowDNS`), else the one that knows the members:
 * told to systemd-resolved where it runs, else written into the file `settings.resolvConf` of `local.conf` names, if it
 * names one and `allowDNS` is set. The reference applies none on Linux.
 *
 * Changes are made one after the other, in the background. What a crash left in the file goes at
 * the next start: the home folder remembers which file it was.
 *
 * Source: spec 04 section 13.5, spec 06 section 9.5.
 * @module
 */
import { ApiError, messageOf } from "../../../lib/base/errors.ts";
import { formatNetworkId, type NetworkId } from "../../../lib/base/ids.ts";
import { formatIp, type Ip } from "../../../lib/base/ip.ts";
import type { Dns } from "../../../lib/credential/network_config_binary.ts";
import { type Home, HomeError } from "../home.ts";
import type { Log } from "../log.ts";
import { ownersIn, withBlock, withoutBlock } from "./resolv_conf.ts";
import { revertLinkDns, setLinkDns } from "./resolved.ts";
import { rewriteText } from "./rewrite_text.ts";

const MEMORY = "resolvconf.path";
/** What a domain may be made of: a controller must not be able to write lines of its own into the file. */
const DOMAIN = /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$/;

/** Whom to ask for which names. */
export interface LinkResolver {
  readonly servers: readonly Ip[];
  readonly domains: readonly LinkDomain[];
}

/** Names that end in this are asked of a device's servers. */
export interface LinkDomain {
  readonly name: string;
  /** Whether names of one label are looked for in it. */
  readonly isSearched: boolean;
}

/** A network's own servers; undefined without domain or servers: then there is nothing to ask. */
export function resolverOf(dns: Dns): LinkResolver | undefined {
  if (dns.domain === "" || dns.servers.length === 0) return undefined;
  return { servers: dns.servers, domains: [{ name: dns.domain, isSearched: true }] };
}

/** What it is made with. */
export interface NetworkDnsOptions {
  readonly home: Home;
  /** This node's address: several nodes may share a file. */
  readonly node: string;
  /** Socket of the message bus. */
  readonly busPath: string;
  /** The file to write where systemd-resolved does not run; undefined for none. */
  readonly resolvConf: () => string | undefined;
  readonly log: Log;
}

interface Place {
  readonly index: number;
  /** "": wanted, but not named; undefined: none is to be written. */
  readonly file: string | undefined;
}

interface Applied {
  /** The file it was written to; undefined: systemd-resolved was told. */
  readonly file: string | undefined;
  readonly index: number;
}

export class NetworkDns {
  readonly #options: NetworkDnsOptions;
  readonly #wanted = new Map<NetworkId, string>();
  readonly #applied = new Map<NetworkId, Applied>();
  readonly #files = new Set<string>(); // those that may hold a block of ours; as many as settings named
  #work: Promise<void> = Promise.resolve();

  constructor(options: NetworkDnsOptions) {
    this.#options = options;
    this.#cleanUp();
  }

  /** Takes away what a crash left. */
  #cleanUp(): void {
    const { home, node } = this.#options;
    for (const file of home.readText(MEMORY)?.trim().split("\n") ?? []) {
      if (file !== "") {
        this.#rewrite(file, (text) => ownersIn(text, `@${node}`).reduce(withoutBlock, text));
      }
    }
    home.remove(MEMORY);
  }

  /**
   * What a network's servers are now.
   * @param wanted Undefined: none
   * @param at Its device, and whether the user allows to write the file
   */
  set(id: NetworkId, wanted: LinkResolver | undefined, at: { index: number; file: boolean }): void {
    const { index } = at;
    const file = at.file ? this.#options.resolvConf() ?? "" : undefined;
    const servers = wanted?.servers.map(formatIp);
    const key = wanted ? JSON.stringify([index, file, wanted.domains, servers]) : "";
    if ((this.#wanted.get(id) ?? "") === key) return this.#mend(id, wanted);
    this.#wanted.set(id, key);
    this.#do(async () => {
      if (this.#wanted.get(id) !== key) return; // changed again meanwhile
      await this.#revert(id, true);
      if (wanted) await this.#apply(id, wanted, { index, file });
    });
  }

  /** Something else wrote the file anew: our block goes back in. */
  #mend(id: NetworkId, dns: LinkResolver | undefined): void {
    const file = this.#applied.get(id)?.file;
    if (!dns || file === undefined) return;
    this.#rewrite(file, (text) => {
      const owner = this.#ownerOf(id);
      return text.includes(`# zt begin ${owner}\n`) ? text : withBlock(text, owner, dns);
    });
  }

  /** A network's device goes away. */
  remove(id: NetworkId): void {
    this.#wanted.delete(id);
    const { file } = this.#applied.get(id) ?? {};
    if (file !== undefined) this.#erase(id, file);
    this.#do(() => this.#revert(id, false));
  }

  /** Waits for what is under way and takes everything back. */
  async close(): Promise<void> {
    for (const id of [...this.#wanted.keys()]) this.remove(id);
    await this.#work;
  }

  #do(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch((error) => {
      if (!(error instanceof ApiError || error instanceof HomeError)) throw error;
      this.#options.log(`DNS of a network: ${error.message}`, "warn");
    });
  }

  /** Where the machine has been told to ask a network's servers: "systemd-resolved" or a file; undefined: nowhere. */
  toldTo(id: NetworkId): string | undefined {
    const applied = this.#applied.get(id);
    return applied && (applied.file ?? "systemd-resolved");
  }

  async #apply(id: NetworkId, dns: LinkResolver, at: Place): Promise<void> {
    const { busPath, log } = this.#options;
    const { index, file } = at;
    if (!dns.domains.every(({ name }) => DOMAIN.test(name))) {
      throw new ApiError(0, `network ${formatNetworkId(id)} names a domain that cannot be one`);
    }
    const key = this.#wanted.get(id);
    try {
      await setLinkDns(busPath, index, dns);
      this.#applied.set(id, { file: undefined, index });
      log(`${whatOf(dns)} through systemd-resolved`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.#wanted.get(id) !== key || file === undefined) return;
      this.#applyToFile(id, dns, { index, file }, error.message);
    }
  }

  #applyToFile(
    id: NetworkId,
    dns: LinkResolver,
    { index, file = "" }: Place,
    reason: string,
  ): void {
    if (file === "") {
      const remedy = 'set "resolvConf" in local.conf, e.g. to "/etc/resolv.conf"';
      throw new ApiError(
        0,
        `allowDNS without systemd-resolved (${reason}) needs a file: ${remedy}`,
      );
    }
    this.#files.add(file);
    this.#options.home.write(MEMORY, `${[...this.#files].join("\n")}\n`); // first: we may crash in between
    this.#applied.set(id, { file, index });
    this.#rewrite(file, (text) => withBlock(text, this.#ownerOf(id), dns));
    this.#options.log(`${whatOf(dns)} by ${file}, as are all others`);
  }

  /** @param stays Whether the device stays: systemd-resolved forgets those that go by itself */
  async #revert(id: NetworkId, stays: boolean): Promise<void> {
    const applied = this.#applied.get(id);
    if (!applied) return;
    this.#applied.delete(id);
    if (applied.file !== undefined) this.#erase(id, applied.file);
    else if (stays) await this.#forget(applied.index);
  }

  /** That systemd-resolved ended meanwhile must not keep what comes next from being applied. */
  async #forget(index: number): Promise<void> {
    try {
      await revertLinkDns(this.#options.busPath, index);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#options.log(`DNS of a network: ${error.message}`, "warn");
    }
  }

  #erase(id: NetworkId, file: string): void {
    this.#rewrite(file, (text) => withoutBlock(text, this.#ownerOf(id)));
  }

  #ownerOf(id: NetworkId): string {
    return `${formatNetworkId(id)}@${this.#options.node}`;
  }

  #rewrite(file: string, change: (text: string) => string): void {
    try {
      const before = Deno.readTextFileSync(file); // one that is not there is not made: who would remove it?
      const after = change(before);
      if (after !== before) rewriteText(file, after);
    } catch (error) {
      this.#options.log(`cannot write ${file}: ${messageOf(error)}`, "warn");
    }
  }
}

/** For the log. */
function whatOf(dns: LinkResolver): string {
  return `names of ${dns.domains[0].name} are asked of ${dns.servers.map(formatIp).join(", ")}`;
}
