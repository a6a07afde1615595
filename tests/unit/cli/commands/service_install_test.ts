import assert from "node:assert/strict";
import { SystemError, UsageError } from "../../../../lib/base/errors.ts";
import { Call } from "../../../../cli/command.ts";
import { installUnit, uninstallUnit } from "../../../../cli/commands/service_install.ts";
import { Home, HomeError } from "../../../../cli/engine/home.ts";

interface Scene {
  call: Call;
  home: Home;
  path: string;
  told: string[];
  systemd: Parameters<typeof installUnit>[1];
}

async function onMachine(use: (scene: Scene) => Promise<void>, home?: string): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "zt-install-" });
  const told: string[] = [];
  const systemctl = (...words: string[]) => Promise.resolve(void told.push(words.join(" ")));
  const io = { out: () => {}, err: () => {} };
  const call = new Call([], {}, { home: home ?? `${folder}/home`, json: false }, io);
  const systemd = { unitFolder: folder, systemctl };
  const path = `${folder}/zt.service`;
  try {
    await use({ call, home: new Home(`${folder}/home`), path, told, systemd });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("installUnit() writes the unit, enables and starts it, again after an update; uninstallUnit() takes it back", () =>
  onMachine(async ({ call, home, path, told, systemd }) => {
    assert.equal(await installUnit(call, systemd), path);
    assert.match(Deno.readTextFileSync(path), /^ExecStart=.* service -D .*\/home$/m);
    const lock = await home.lock(); // it runs now
    await installUnit(call, systemd);
    lock.release();
    const round = ["daemon-reload", "enable zt.service", "restart zt.service"];
    assert.deepEqual(told.splice(0), [...round, ...round]);
    assert.equal(await uninstallUnit(systemd), true);
    assert.equal(await uninstallUnit(systemd), false);
    assert.deepEqual(told, ["disable --now zt.service", "daemon-reload"]);
    assert.throws(() => Deno.statSync(path));
  }));

Deno.test({
  name:
    "installUnit() makes a home folder copied from another user root's, and follows no link out of it",
  ignore: Deno.uid() !== 0,
  fn: () =>
    onMachine(async ({ call, home, systemd }) => {
      const linked = `${systemd.unitFolder}/linked`;
      Deno.writeTextFileSync(linked, "");
      const inside = ["controller.d/network/a", "peers.d/a", "identity.secret"];
      for (const name of [...inside, "photos/a"]) home.write(name, "");
      Deno.symlinkSync(linked, home.pathOf("link"));
      const others = [linked, home.pathOf("photos"), home.pathOf("photos/a")];
      const own = [home.path, home.pathOf("peers.d"), ...inside.map((name) => home.pathOf(name))];
      const chown = () => [...own, ...others].forEach((path) => Deno.chownSync(path, 4_321, 4_321));
      chown();
      await installUnit(call, systemd);
      for (const path of own) assert.equal(Deno.statSync(path).uid, 0, path);
      for (const path of others) assert.equal(Deno.statSync(path).uid, 4_321, path);
      chown();
      home.remove("identity.secret"); // not a home folder
      await installUnit(call, systemd);
      assert.equal(Deno.statSync(home.pathOf("peers.d/a")).uid, 4_321);
    }),
});

Deno.test("installUnit() does not fight with a service that runs already", () =>
  onMachine(async ({ call, home, path, told, systemd }) => {
    const lock = await home.lock();
    await assert.rejects(installUnit(call, systemd), HomeError);
    lock.release();
    assert.deepEqual(told, []);
    assert.throws(() => Deno.statSync(path));
  }));

Deno.test("installUnit() says what to do where there is no systemd", () =>
  onMachine(async ({ call, systemd }) => {
    const nowhere = { ...systemd, unitFolder: `${systemd.unitFolder}/none` };
    await assert.rejects(installUnit(call, nowhere), (error) => {
      return error instanceof SystemError && /without systemd, start at boot/.test(error.message);
    });
  }));

Deno.test("installUnit() leaves nothing behind where systemd does not run", () =>
  onMachine(async ({ call, path, systemd }) => {
    const systemctl = () => Promise.reject(new SystemError("systemctl", "ENOENT"));
    await assert.rejects(installUnit(call, { ...systemd, systemctl }), SystemError);
    assert.throws(() => Deno.statSync(path));
  }));

Deno.test("installUnit() wants a home that means the same everywhere", () =>
  onMachine(async ({ call, systemd }) => {
    await assert.rejects(installUnit(call, systemd), UsageError);
  }, "relative/home"));
