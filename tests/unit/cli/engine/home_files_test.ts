import assert from "node:assert/strict";
import type { NetworkId } from "../../../../lib/base/ids.ts";
import { parsePrefix } from "../../../../lib/base/ip.ts";
import { Home } from "../../../../cli/engine/home.ts";
import {
  changeLocalConf,
  changeLocalNetwork,
  DEFAULT_NETWORK_SETTINGS,
  ensureToken,
  formatLocalNetwork,
  joinedNetworks,
  parseLocalNetwork,
  readIdentity,
  readLocalConf,
  readLocalNetwork,
  readPort,
  readToken,
  refreshPublicIdentity,
  removeNetwork,
  writeLocalNetwork,
  writeNetworkConfig,
  writePort,
} from "../../../../cli/engine/home_files.ts";
import { parseSettings } from "../../../../cli/engine/settings.ts";

const ID = 0x8056c2e21c000001n as NetworkId;

function inHome(use: (home: Home) => void): void {
  const path = Deno.makeTempDirSync({ prefix: "zt-files-" });
  try {
    use(new Home(path));
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

const count = (bytes: Uint8Array) => bytes.forEach((_, index) => bytes[index] = 255 - index);

Deno.test("ensureToken() makes 24 letters and digits for the owner alone, once", () =>
  inHome((home) => {
    const token = ensureToken(home, "authtoken.secret", count);
    assert.match(token, /^[a-z0-9]{24}$/);
    assert.equal(home.readText("authtoken.secret"), token);
    assert.equal((Deno.statSync(home.pathOf("authtoken.secret")).mode ?? 0) & 0o777, 0o600);
    assert.equal(ensureToken(home, "authtoken.secret", count), token);
  }));

Deno.test("ensureToken() takes a user's own token, white space aside, and protects it", () =>
  inHome((home) => {
    Deno.writeTextFileSync(home.pathOf("authtoken.secret"), " my own token\n", { mode: 0o644 });
    assert.equal(ensureToken(home, "authtoken.secret", count), "my own token");
    assert.equal((Deno.statSync(home.pathOf("authtoken.secret")).mode ?? 0) & 0o777, 0o600);
    assert.equal(readToken(home, "metricstoken.secret"), undefined);
  }));

Deno.test("readPort() reads what writePort() wrote, and nothing that is no port", () =>
  inHome((home) => {
    assert.equal(readPort(home), undefined);
    writePort(home, 9993);
    assert.equal(home.readText("zerotier-one.port"), "9993");
    assert.equal(readPort(home), 9993);
    for (const text of ["", "0", "65536", "99x", "1.5"]) {
      home.write("zerotier-one.port", text);
      assert.equal(readPort(home), undefined, text);
    }
  }));

Deno.test("readIdentity() changes nothing, whatever the file holds", () =>
  inHome((home) => {
    const parse = (text: string) => text === "good" ? "identity" : undefined;
    assert.equal(readIdentity(home, parse), undefined);
    home.write("identity.secret", "");
    assert.equal(readIdentity(home, parse), undefined);
    home.write("identity.secret", "good\n");
    assert.equal(readIdentity(home, parse), "identity");
    home.write("identity.secret", "torn");
    assert.throws(
      () => readIdentity(home, parse),
      /identity\.secret is damaged or not an identity; put a copy back/,
    );
    assert.equal(home.readText("identity.secret"), "torn");
    assert.deepEqual(home.list("."), ["identity.secret"]);
  }));

Deno.test("refreshPublicIdentity() corrects the file and does not make one", () =>
  inHome((home) => {
    refreshPublicIdentity(home, "public");
    assert.equal(home.readText("identity.public"), undefined);
    home.write("identity.public", "other");
    refreshPublicIdentity(home, "public");
    assert.equal(home.readText("identity.public"), "public");
  }));

Deno.test("parseLocalNetwork() reads every form the reference does", () => {
  const parse = (text: string) => parseLocalNetwork(text);
  assert.deepEqual(parse(""), DEFAULT_NETWORK_SETTINGS);
  assert.equal(parse("allowManaged=0\n").allowManaged, false);
  assert.equal(parse("allowManaged=f").allowManaged, false);
  assert.equal(parse("allowManaged=True").allowManaged, true);
  assert.equal(parse("allowManaged=").allowManaged, false);
  assert.equal(parse("allowManaged=false").allowManaged, false);
  const listed = parse("allowManaged=10.0.0.0/8,fd00::/8,nonsense\nallowDNS=1\nallowGlobal=0\n");
  assert.equal(listed.allowManaged, true);
  assert.deepEqual(listed.managedOnly, [parsePrefix("10.0.0.0/8"), parsePrefix("fd00::/8")]);
  assert.deepEqual([listed.allowDNS, listed.allowGlobal, listed.allowDefault], [
    true,
    false,
    false,
  ]);
});

Deno.test("formatLocalNetwork() writes the reference's four lines, and keeps a list", () => {
  assert.equal(
    formatLocalNetwork(DEFAULT_NETWORK_SETTINGS),
    "allowManaged=1\nallowGlobal=0\nallowDefault=0\nallowDNS=0\n",
  );
  const listed = parseLocalNetwork("allowManaged=10.0.0.0/8\nallowDNS=0\n");
  const changed = changeLocalNetwork(listed, { allowManaged: true, allowDNS: true });
  assert.equal(
    formatLocalNetwork(changed),
    "allowManaged=10.0.0.0/8\nallowGlobal=0\nallowDefault=0\nallowDNS=1\n",
  );
  const off = changeLocalNetwork(changed, { allowManaged: false });
  assert.equal(formatLocalNetwork(off).split("\n")[0], "allowManaged=0");
  assert.deepEqual(off.managedOnly, []);
});

Deno.test("joinedNetworks() finds what was joined and leaves other files alone", () =>
  inHome((home) => {
    writeNetworkConfig(home, ID, new Uint8Array());
    writeLocalNetwork(home, ID, { ...DEFAULT_NETWORK_SETTINGS, allowGlobal: true });
    home.write("networks.d/8056C2E21C000000.conf", "n=x\n");
    home.write("networks.d/README", "x");
    home.write("networks.d/short.conf", "x");
    assert.deepEqual(joinedNetworks(home).map((id) => id.toString(16)), [
      "8056c2e21c000000",
      "8056c2e21c000001",
    ]);
    assert.equal(readLocalNetwork(home, ID).allowGlobal, true);
    removeNetwork(home, ID);
    assert.deepEqual(home.list("networks.d"), ["8056C2E21C000000.conf", "README", "short.conf"]);
  }));

Deno.test("readLocalConf() names the file that is broken and leaves it", () =>
  inHome((home) => {
    assert.deepEqual(readLocalConf(home), {});
    for (const text of ["{bad", "[1]", "5"]) {
      home.write("local.conf", text);
      assert.throws(() => readLocalConf(home), /local\.conf/, text);
      assert.throws(() => changeLocalConf(home, { a: 1 }, parseSettings), /local\.conf/, text);
      assert.equal(home.readText("local.conf"), text);
    }
  }));

Deno.test("changeLocalConf() leaves the file alone when the service would not start with the change", () =>
  inHome((home) => {
    changeLocalConf(home, { primaryPort: 9_994 }, parseSettings);
    for (const change of [{ primaryPort: "x" }, { bind: "10.0.0.1" }, { portMappingEnabled: [] }]) {
      assert.throws(() => changeLocalConf(home, change, parseSettings), /local\.conf: settings\./);
    }
    assert.deepEqual(readLocalConf(home), { settings: { primaryPort: 9_994 } });
  }));

Deno.test("changeLocalConf() changes settings alone, indents by four and keeps unknown keys", () =>
  inHome((home) => {
    home.write(
      "local.conf",
      '{"physical":{"10.0.0.0/8":{"blacklist":true}},"mine":1,"settings":{"a":1,"b":2}}',
    );
    changeLocalConf(home, { b: { c: 3 } }, parseSettings);
    assert.deepEqual(readLocalConf(home), {
      physical: { "10.0.0.0/8": { blacklist: true } },
      mine: 1,
      settings: { a: 1, b: { c: 3 } },
    });
    assert.match(home.readText("local.conf")!, /^\{\n {4}"mine": 1,\n/);
  }));
