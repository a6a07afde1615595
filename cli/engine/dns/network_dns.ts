/**
 * The name servers of networks whose user allows them (`allowDNS`): told to systemd-resolved where it runs, else written
 * into the file `settings.resolvConf` of `local.conf` names, if it names one. The reference applies none on Linux.
 *
 * Changes are made one after the other, in the background. What a crash left in the file goes at the next start: the home
 * folder remembers which file it was.
 *
 * Source: spec 04 section 13.5, spec 06 section 9.5.
 * @module
 */
import { ApiError } from "../../../lib/base/errors.ts";
import { formatNetworkId, type NetworkId } from "../../../lib/base/ids.ts";
import { formatIp } from "../../../lib/base/ip.ts";
import type { Dns } from "../../../lib/credential/network_config_binary.ts";
import type { Home } from "../home.ts";
import { ownersIn, withBlock, withoutBlock } from "./resolv_conf.ts";
import { revertLinkDns, setLinkDns } from "./resolved.ts";

const MEMORY = "resolvconf.path";
/** What a domain may be made of: a controller must not be able to write lines of its own into the file. */
const DOMAIN = /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$/;

/** What it is made with. */
export interface NetworkDnsOptions {
  readonly home: Home;
  /** This node's address: several nodes may share a file. */
  readonly node: string;
  /** Socket of the message bus. */
  readonly busPath: string;
  /** The file to write where systemd-resolved does not run; undefined for none. */
  readonly resolvConf: () => string | undefined;
  readonly log: (line: string) => void;
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
   * @param dns Undefined when they are not allowed; without domain or servers there is nothing to apply
   * @param index Of its device
   */
  set(id: NetworkId, dns: Dns | undefined, index: number): void {
    const wanted = dns && dns.domain !== "" && dns.servers.length > 0 ? dns : undefined;
    const file = this.#options.resolvConf() ?? "";
    const servers = wanted?.servers.map(formatIp).join(" ");
    const key = wanted ? `${index} ${file} ${wanted.domain} ${servers}` : "";
    if ((this.#wanted.get(id) ?? "") === key) return this.#mend(id, wanted);
    this.#wanted.set(id, key);
    this.#do(async () => {
      if (this.#wanted.get(id) !== key) return; // changed again meanwhile
      await this.#revert(id, true);
      if (wanted) await this.#apply(id, wanted, index);
    });
  }

  /** Something else wrote the file anew: our block goes back in. */
  #mend(id: NetworkId, dns: Dns | undefined): void {
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
      if (!(error instanceof ApiError)) throw error;
      this.#options.log(`DNS of a network: ${error.message}`);
    });
  }

  async #apply(id: NetworkId, dns: Dns, index: number): Promise<void> {
    const { busPath, log } = this.#options;
    if (!DOMAIN.test(dns.domain)) {
      throw new ApiError(0, `network ${formatNetworkId(id)} names a domain that cannot be one`);
    }
    const key = this.#wanted.get(id);
    try {
      await setLinkDns(busPath, index, dns);
      this.#applied.set(id, { file: undefined, index });
      log(`${whatOf(dns)} through systemd-resolved`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.#wanted.get(id) === key) this.#applyToFile(id, dns, index, error.message);
    }
  }

  #applyToFile(id: NetworkId, dns: Dns, index: number, reason: string): void {
    const file = this.#options.resolvConf();
    if (file === undefined) {
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
      this.#options.log(`DNS of a network: ${error.message}`);
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
      // In place: it may be a link, or mounted where it is, and others watch it.
      if (after !== before) Deno.writeTextFileSync(file, after);
    } catch (error) {
      this.#options.log(`cannot write ${file}: ${error instanceof Error ? error.message : error}`);
    }
  }
}

/** For the log. */
function whatOf(dns: Dns): string {
  return `names of ${dns.domain} are asked of ${dns.servers.map(formatIp).join(", ")}`;
}
