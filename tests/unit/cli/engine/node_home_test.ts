import assert from "node:assert/strict";
import { Home } from "../../../../cli/engine/home.ts";
import { NodeHome } from "../../../../cli/engine/node_home.ts";
import { Writer } from "../../../../lib/base/bytes.ts";
import type { Address, NetworkId } from "../../../../lib/base/ids.ts";
import { EMPTY_CONFIG, encodeNetworkConfig } from "../../../../lib/credential/network_config.ts";
import { defaultPlanet } from "../../../../lib/identity/default_planet.ts";
import { encodeWorld, WorldType } from "../../../../lib/identity/world.ts";

const SELF = 0xa0b1c2d3e4 as Address;
const OTHER = 0xa0b1c2d3e5 as Address;
const ID = 0x8056c2e21c000001n as NetworkId;
const FILE = "networks.d/8056c2e21c000001.conf";
const CONFIG = encodeNetworkConfig({ ...EMPTY_CONFIG, networkId: ID, issuedTo: SELF });

function inHome(use: (home: Home, files: NodeHome, said: string[]) => void): void {
  const path = Deno.makeTempDirSync({ prefix: "zt-node-home-" });
  const said: string[] = [];
  try {
    const home = new Home(path);
    use(home, new NodeHome(home, (line) => said.push(line)), said);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

Deno.test("NodeHome.networks() gives the configuration of an earlier run", () =>
  inHome((home, files, said) => {
    home.write(FILE, CONFIG);
    assert.deepEqual(files.networks(SELF), [{ id: ID, config: CONFIG }]);
    assert.deepEqual(said, []);
  }));

Deno.test("NodeHome.networks() takes an empty file, or the reference's one byte, for joined", () =>
  inHome((home, files, said) => {
    for (const joined of ["", "\n"]) {
      home.write(FILE, joined);
      assert.deepEqual(files.networks(SELF).map(({ id }) => id), [ID]);
    }
    assert.deepEqual(said, []);
    assert.deepEqual(home.list("networks.d"), ["8056c2e21c000001.conf"]);
  }));

Deno.test("NodeHome.networks() sets torn and foreign configurations aside, whole, and stays joined", () =>
  inHome((home, files, said) => {
    const foreign = [
      CONFIG.slice(0, CONFIG.length / 2),
      Uint8Array.of(1, 2, 3, 0, 255),
      encodeNetworkConfig({ ...EMPTY_CONFIG, networkId: ID, issuedTo: OTHER }),
      encodeNetworkConfig({
        ...EMPTY_CONFIG,
        networkId: 0x8056c2e21c000002n as NetworkId,
        issuedTo: SELF,
      }),
    ];
    foreign.forEach((bytes, index) => {
      home.write(FILE, bytes);
      assert.deepEqual(files.networks(SELF), [{ id: ID, config: new Uint8Array(0) }]);
      assert.deepEqual(home.readBytes(`${FILE}.bad-${index + 1}`), bytes);
      assert.equal(said.length, index + 1);
      assert.match(said[index], /000001\.conf: is not .* set aside as .*; asking the controller/);
    });
    assert.deepEqual(files.networks(SELF), [{ id: ID, config: new Uint8Array(0) }]);
    assert.equal(said.length, foreign.length);
  }));

Deno.test("NodeHome.memberFiles() names the files of those who were met on networks", () =>
  inHome((_home, files) => {
    files.persist({ what: "members", network: ID, members: [SELF, OTHER] });
    assert.deepEqual([...files.memberFiles([ID])], ["a0b1c2d3e4.peer", "a0b1c2d3e5.peer"]);
    assert.equal(files.memberFiles([]).size, 0);
  }));

Deno.test("NodeHome.moon() finds a moon by its file, and takes nothing else for it", () =>
  inHome((home, files) => {
    const encoded = (id: bigint, type: WorldType) => {
      const w = new Writer();
      encodeWorld({ ...defaultPlanet(), id, type }, w);
      return w.finish();
    };
    const moon = encoded(7n, WorldType.MOON);
    home.write("moons.d/0000000000000007.moon", moon);
    home.write("moons.d/0000000000000008.moon", moon);
    home.write("moons.d/0000000000000009.moon", encoded(9n, WorldType.PLANET));
    home.write("moons.d/000000000000000a.moon", moon.subarray(0, 50));
    assert.equal(files.moon(7n)?.id, 7n);
    assert.deepEqual([8n, 9n, 10n, 11n].map((id) => files.moon(id)), Array(4).fill(undefined));
  }));

Deno.test("NodeHome goes on where a file of its cannot be read", () =>
  inHome((home, files, said) => {
    Deno.mkdirSync(home.pathOf(FILE), { recursive: true });
    Deno.mkdirSync(home.pathOf("networks.d/8056c2e21c000001.members"));
    Deno.mkdirSync(home.pathOf("peers.d/a0b1c2d3e5.peer"), { recursive: true });
    assert.deepEqual(files.networks(SELF), [{ id: ID, config: new Uint8Array(0) }]);
    assert.match(said.join(), /000001\.conf is not a file; move it away$/);
    assert.deepEqual(files.members(ID), []);
    assert.equal(files.recall(OTHER), undefined);
  }));

Deno.test("NodeHome keeps what the user allows a network while it cannot be read", () =>
  inHome((home, files, said) => {
    const local = "networks.d/8056c2e21c000001.local.conf";
    assert.equal(files.localNetwork(ID).allowDefault, false);
    home.write(local, "allowDefault=1\n");
    assert.equal(files.localNetwork(ID).allowDefault, true);
    home.remove(local);
    Deno.mkdirSync(home.pathOf(local));
    Deno.mkdirSync(home.pathOf("devicemap"));
    assert.equal(files.localNetwork(ID).allowDefault, true);
    assert.equal(files.deviceMap(), "");
    assert.deepEqual(said.map((line) => line.replace(/.*\//, "")), [
      "8056c2e21c000001.local.conf is not a file; move it away",
      "devicemap is not a file; move it away",
    ]);
  }));

Deno.test("NodeHome.recall() takes a torn peer for none", () =>
  inHome((home, files) => {
    home.write("peers.d/a0b1c2d3e5.peer", Uint8Array.of(9, 9, 9));
    assert.equal(files.recall(OTHER), undefined);
  }));
