/**
 * Hears LAN beacons. A socket bound to an address of this machine gets no broadcasts, so there is
 * one more, bound to the broadcast address: beacons are rare, and the data Worker need not know of
 * them.
 *
 * Source: spec 02 section 12; `ip(7)`.
 * @module
 */
import { createSocket, type Socket } from "node:dgram";
import type { Endpoint } from "../../lib/base/ip.ts";
import { parseIp } from "../../lib/base/ip.ts";
import { TokenBucket } from "../../lib/base/rate.ts";
import { BEACON_LENGTH, BEACON_PORT } from "../../lib/wire/beacon.ts";

/** Beacons looked at: what a flood of them on the link can cost. A power cut's worth of neighbours at once is heard. */
const HEARD = { perSecond: 50, burst: 500 };

/** What is heard. */
export interface BeaconListenerOptions {
  readonly onBeacon: (from: Endpoint, bytes: Uint8Array) => void;
  readonly nowMs: () => number;
  readonly log: (line: string) => void;
}

export class BeaconListener {
  readonly #socket: Socket;
  readonly #budget = new TokenBucket(HEARD.perSecond, HEARD.burst);
  #isOpen = true;

  /** Where the port is taken by a program that does not share it, beacons are not heard and the log says so. */
  constructor(readonly options: BeaconListenerOptions) {
    this.#socket = createSocket({ type: "udp4", reuseAddr: true });
    this.#socket.on("error", (error: Error) => {
      options.log(`not listening for beacons of the local network: ${error.message}`);
      this.close();
    });
    this.#socket.on("message", (bytes: Uint8Array, from: { address: string; port: number }) => {
      if (bytes.length !== BEACON_LENGTH || !this.#budget.take(options.nowMs())) return;
      const ip = parseIp(from.address);
      if (ip) options.onBeacon({ ip, port: from.port }, Uint8Array.from(bytes));
    });
    this.#socket.bind(BEACON_PORT, "255.255.255.255");
    this.#socket.unref();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#socket.close();
  }
}
