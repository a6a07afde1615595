import { equal, ok, throws } from "node:assert/strict";
import {
  bootTimeMs,
  closeFd,
  EventFd,
  pathExists,
  POLLIN,
  PollSet,
  readTextFile,
  readTextFileIfAny,
  setThreadNiceness,
  writeSysctl,
} from "../../../../ffi/linux/system.ts";
import { Namespace } from "../../../../ffi/linux/namespace.ts";
import { namespaceTest } from "../privileged.ts";

Deno.test("bootTimeMs() is near what the kernel calls uptime, and never goes back", () => {
  const uptimeMs = Number(readTextFile("/proc/uptime").split(" ")[0]) * 1000;
  const nowMs = bootTimeMs();
  ok(nowMs >= uptimeMs - 20, `${nowMs} is before ${uptimeMs}`); // uptime counts in hundredths
  let lastMs = nowMs;
  for (let i = 0; i < 1000; i++) {
    const next = bootTimeMs();
    ok(next >= lastMs);
    lastMs = next;
  }
});

Deno.test("readTextFile() reads all of a file in /proc; readTextFileIfAny() says when there is none", () => {
  ok(readTextFile("/proc/self/status").startsWith("Name:"));
  equal(readTextFileIfAny("/proc/no_such_file"), undefined);
  throws(() => readTextFile("/proc/no_such_file"), /open \/proc\/no_such_file failed: ENOENT/);
  equal(pathExists("/proc/self"), true);
  equal(pathExists("/proc/no_such_file"), false);
});

Deno.test("PollSet.wait() sees an EventFd that was signalled, and no longer once drained", () => {
  const [quiet, loud] = [new EventFd(), new EventFd()];
  const poll = new PollSet(2);
  poll.set([quiet.fd, loud.fd]);
  equal(poll.wait(0), 0);
  loud.signal();
  loud.signal();
  equal(poll.wait(1000), 1);
  equal(poll.events(0), 0);
  equal(poll.events(1), POLLIN);
  loud.drain();
  equal(poll.wait(0), 0);
  equal(poll.events(1), 0);
  quiet.close();
  loud.close();
});

namespaceTest("setThreadNiceness() is of the calling thread alone", () => {
  const nicenessOf = (stat: string) => Number(readTextFile(stat).split(") ")[1].split(" ")[16]);
  const before = nicenessOf("/proc/thread-self/stat");
  equal(setThreadNiceness(-7), true);
  equal(nicenessOf("/proc/thread-self/stat"), -7);
  const others = [...Deno.readDirSync("/proc/self/task")].map(({ name }) =>
    nicenessOf(`/proc/self/task/${name}/stat`)
  );
  equal(others.filter((niceness) => niceness === -7).length, 1);
  equal(setThreadNiceness(before), true);
});

Deno.test("closeFd() of what is not open is an error", () => {
  throws(() => closeFd(1_000_000), /EBADF/);
});

namespaceTest("writeSysctl() sets a parameter of the namespace it runs in only", () => {
  const namespace = Namespace.create();
  const path = "/proc/sys/net/ipv4/ip_default_ttl";
  const before = readTextFile(path);
  namespace.run(() => writeSysctl("net.ipv4.ip_default_ttl", 33));
  equal(namespace.run(() => readTextFile(path)), "33\n");
  equal(readTextFile(path), before);
  throws(() => writeSysctl("net.no.such", 1), /open \/proc\/sys\/net\/no\/such failed: ENOENT/);
  namespace.close();
});
