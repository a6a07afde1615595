/**
 * Network namespaces: a network stack of its own, empty but for a loopback device.
 *
 * A namespace here has no name and is held by a descriptor: it vanishes with the last process and descriptor in it, so
 * there is nothing to clean up. Entering one acts on the calling thread only and is undone before anything else
 * can run on it, hence everything is synchronous. What is opened or started inside stays inside: sockets, TAPs, netlink
 * sockets, child processes.
 *
 * Source: spec 07 appendix; `network_namespaces(7)`.
 * @module
 */
import { assert } from "../../lib/base/errors.ts";
import { check, type Remedies } from "./errno.ts";
import { libc } from "./libc.ts";
import { listLinks, setLink } from "./netlink_link.ts";
import { Netlink } from "./netlink.ts";
import { closeFd, O_RDONLY, openPath } from "./system.ts";

const CLONE_NEWNET = 0x40000000;
const OWN_NAMESPACE = "/proc/thread-self/ns/net";

const REMEDIES: Remedies = {
  EPERM: "run as root, or inside a user namespace: unshare -Urn",
  ENOSPC: "too many namespaces: see /proc/sys/user/max_net_namespaces",
  EINVAL: "this kernel has no network namespaces",
};

/** A network namespace, held by a descriptor. */
export class Namespace {
  #closed = false;
  private constructor(readonly fd: number) {}

  /** Makes a namespace and brings its loopback device up. @throws {SystemError} */
  static create(): Namespace {
    const home = openPath(OWN_NAMESPACE, O_RDONLY);
    try {
      check("create a network namespace", libc().unshare(CLONE_NEWNET), REMEDIES);
      try {
        const namespace = new Namespace(openPath(OWN_NAMESPACE, O_RDONLY));
        bringLoopbackUp();
        return namespace;
      } finally {
        goHome(home);
      }
    } finally {
      closeFd(home);
    }
  }

  /** The namespace this thread is in. @throws {SystemError} */
  static current(): Namespace {
    return new Namespace(openPath(OWN_NAMESPACE, O_RDONLY));
  }

  /**
   * Runs `fn` with this thread inside the namespace.
   * @param fn Synchronous: what it awaited would go on outside
   * @returns what `fn` returns
   * @throws {SystemError} when the namespace may not be entered, and whatever `fn` throws
   */
  run<T>(fn: () => T): T {
    const home = openPath(OWN_NAMESPACE, O_RDONLY);
    try {
      const entered = libc().setns(this.fd, CLONE_NEWNET);
      check("enter a network namespace", entered, REMEDIES);
      try {
        const result = fn();
        assert(!(result instanceof Promise), "what runs in a namespace is synchronous");
        return result;
      } finally {
        goHome(home);
      }
    } finally {
      closeFd(home);
    }
  }

  /** Starts a child process that lives in the namespace. @throws when it cannot be started */
  spawn(command: string, options: Deno.CommandOptions): Deno.ChildProcess {
    // spawn() starts the child before it returns, from this very thread.
    return this.run(() => new Deno.Command(command, options).spawn());
  }

  /** Lets go; the namespace lives on while something is in it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeFd(this.fd);
  }
}

function goHome(home: number): void {
  // A thread lost in the wrong namespace would open everything there from now on: there is no way on from here.
  assert(
    libc().setns(home, CLONE_NEWNET) === 0,
    "a thread can return to the namespace it came from",
  );
}

function bringLoopbackUp(): void {
  const netlink = Netlink.open();
  try {
    const loopback = listLinks(netlink).find((link) => link.loopback);
    assert(loopback, "a namespace has a loopback device");
    setLink(netlink, loopback.index, { up: true });
  } finally {
    netlink.close();
  }
}
