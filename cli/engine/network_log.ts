/**
 * What the log says of networks: each change of state once, so that it can be read afterwards why one did not work.
 * @module
 */
import { formatNetworkId, type NetworkId } from "../../lib/base/ids.ts";
import { formatPrefix, type Prefix } from "../../lib/base/ip.ts";

/** The part of a network that says so. */
export interface NetworkState {
  readonly id: NetworkId;
  /** As in the API, e.g. "ACCESS_DENIED". */
  readonly status: string;
  /** Assigned, of a network that works. */
  readonly addresses: readonly Prefix[];
}

export class NetworkLog {
  readonly #log: (line: string) => void;
  readonly #said = new Map<NetworkId, string>(); // as many as networks are joined

  constructor(log: (line: string) => void) {
    this.#log = log;
  }

  /** Takes the state of a network; says it when it is another one than before. */
  note({ id, status, addresses }: NetworkState): void {
    const ips = status === "OK" ? addresses.map((address) => ` ${formatPrefix(address)}`) : [];
    const line = `network ${formatNetworkId(id)}: ${status}${ips.join(",")}`;
    if (this.#said.get(id) === line) return;
    this.#said.set(id, line);
    this.#log(line);
  }

  /** A network was left. */
  forget(id: NetworkId): void {
    if (this.#said.delete(id)) this.#log(`network ${formatNetworkId(id)}: left`);
  }
}
