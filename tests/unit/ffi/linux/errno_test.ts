import { deepEqual, equal, throws } from "node:assert/strict";
import { check, errno, errnoName, systemError } from "../../../../ffi/linux/errno.ts";
import { cString, libc } from "../../../../ffi/linux/libc.ts";
import { SystemError } from "../../../../lib/base/errors.ts";

libc(); // before the first test: Deno 2.4 counts a library opened in one as leaked

Deno.test("errno() is the number of the call that just failed", () => {
  equal(libc().open(cString("/no/such/file"), 0, 0), -1);
  equal(errno(), 2);
  equal(libc().close(1_000_000), -1);
  equal(errno(), 9);
});

Deno.test("check() passes success through and names operation, error and remedy otherwise", () => {
  equal(check("open nothing", 3), 3);
  throws(
    () => check("open /no/such/file", libc().open(cString("/no/such/file"), 0, 0), { ENOENT: "x" }),
    (error: SystemError) => {
      equal(error.message, "open /no/such/file failed: ENOENT (x)");
      equal(error.code, "ENOENT");
      return error instanceof SystemError;
    },
  );
});

Deno.test("systemError() falls back to what helps in general", () => {
  const remedy = systemError("open /dev/net/tun", 1).remedy;
  equal(remedy, "run as root, or give the binary cap_net_admin");
  equal(systemError("anything", 22).remedy, undefined);
});

Deno.test("errnoName() names what it does not know by number", () => {
  deepEqual([errnoName(98), errnoName(9999)], ["EADDRINUSE", "E9999"]);
});
