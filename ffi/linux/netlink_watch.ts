/**
 * Notifications about changed links, addresses and routes: how roaming is noticed at once.
 *
 * Source: spec 07 appendix; `rtnetlink(7)`.
 * @module
 */
import type { NetworkChange, NetworkWatch } from "../machine.ts";
import { EAGAIN, EINTR, ENOBUFS, errno, systemError } from "./errno.ts";
import { libc } from "./libc.ts";
import { openNetlinkFd } from "./netlink.ts";
import { messagesIn } from "./netlink_message.ts";
import { closeFd } from "./system.ts";

const RTMGRP_LINK = 0x1;
const RTMGRP_IPV4_IFADDR = 0x10;
const RTMGRP_IPV4_ROUTE = 0x40;
const RTMGRP_IPV6_IFADDR = 0x100;
const RTMGRP_IPV6_ROUTE = 0x400;
const GROUPS = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR |
  RTMGRP_IPV6_ROUTE;

const RECEIVE_LENGTH = 65_536;
const READS_MAX = 64; // bounds one read() while routes flap; what is left wakes us again

const CHANGES: Readonly<Record<number, NetworkChange>> = {
  16: "link", // RTM_NEWLINK
  17: "link", // RTM_DELLINK
  20: "address", // RTM_NEWADDR
  21: "address", // RTM_DELADDR
  24: "route", // RTM_NEWROUTE
  25: "route", // RTM_DELROUTE
};

/** Starts watching the namespace this thread is in. @throws {SystemError} */
export function watchNetwork(): NetworkWatch {
  return new LinuxNetworkWatch(openNetlinkFd(GROUPS));
}

class LinuxNetworkWatch implements NetworkWatch {
  readonly #received = new Uint8Array(new ArrayBuffer(RECEIVE_LENGTH));
  #closed = false;

  constructor(readonly fd: number) {}

  read(): Set<NetworkChange> {
    const changes = new Set<NetworkChange>();
    for (let reads = 0; reads < READS_MAX; reads++) {
      const got = libc().recv(this.fd, this.#received, BigInt(RECEIVE_LENGTH), 0);
      if (got >= 0) {
        for (const message of messagesIn(this.#received.subarray(0, got))) {
          const change = CHANGES[message.type];
          if (change) changes.add(change);
        }
        continue;
      }
      const number = errno();
      if (number === EAGAIN) break;
      if (number === ENOBUFS) { // the kernel dropped some: anything may have changed
        for (const change of Object.values(CHANGES)) changes.add(change);
      } else if (number !== EINTR) {
        throw systemError("read network changes", number);
      }
    }
    return changes;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeFd(this.fd);
  }
}
