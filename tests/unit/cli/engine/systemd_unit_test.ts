import assert from "node:assert/strict";
import { UsageError } from "../../../../lib/base/errors.ts";
import { systemdUnit } from "../../../../cli/engine/systemd_unit.ts";

const ANALYZE = "/usr/bin/systemd-analyze";

Deno.test("systemdUnit() starts the service on its home and keeps it from the rest", () => {
  const text = systemdUnit({ path: "/usr/local/bin/zt", args: [] }, "/var/lib/zt", 9994);
  assert.match(text, /^ExecStart=\/usr\/local\/bin\/zt service -D \/var\/lib\/zt -p 9994$/m);
  assert.match(text, /^ReadWritePaths=-\/var\/lib\/zt -\/etc\/resolv\.conf$/m);
  assert.match(text, /^ProtectHome=yes$/m);
});

Deno.test("systemdUnit() leaves home folders open to what lies in one", () => {
  for (const place of ["/home/anna/zt", "/root/zt", "/run/user/1000/zt"]) {
    assert.doesNotMatch(systemdUnit({ path: place, args: [] }, "/var/lib/zt"), /ProtectHome/);
    assert.doesNotMatch(systemdUnit({ path: "/usr/bin/zt", args: [] }, place), /ProtectHome/);
  }
});

Deno.test("systemdUnit() quotes what systemd would take apart or expand", () => {
  const text = systemdUnit({ path: "/opt/a b/zt", args: ["$x"] }, '/srv/50%"');
  assert.match(text, /^ExecStart="\/opt\/a b\/zt" "\$\$x" service -D "\/srv\/50%%\\""$/m);
  assert.throws(() => systemdUnit({ path: "/zt", args: [] }, "/a\nExecStart=/bin/sh"), UsageError);
});

Deno.test({
  name: "systemdUnit() is what systemd takes without a complaint",
  ignore: !exists(ANALYZE),
  fn: async () => {
    const folder = Deno.makeTempDirSync({ prefix: "zt-unit-" });
    try {
      Deno.writeTextFileSync(
        `${folder}/zt.service`,
        systemdUnit({ path: "/bin/true", args: ["a b", "50%"] }, `${folder}/ho me`),
      );
      const args = ["verify", "--man=no", `${folder}/zt.service`];
      const { stderr } = await new Deno.Command(ANALYZE, { args }).output();
      const complaints = new TextDecoder().decode(stderr).split("\n");
      assert.deepEqual(complaints.filter((line) => line.includes("zt.service")), []);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
});

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
