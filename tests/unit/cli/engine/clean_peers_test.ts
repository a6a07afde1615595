import assert from "node:assert/strict";
import { cleanPeers } from "../../../../cli/engine/clean_peers.ts";
import { Home } from "../../../../cli/engine/home.ts";

const DAY_MS = 24 * 3_600_000;
const NOW_MS = 100 * DAY_MS;

/** A home folder with a cache of peers, each seen so many days ago. */
async function withPeers(
  ages: readonly number[],
  use: (home: Home) => Promise<void>,
): Promise<void> {
  const path = Deno.makeTempDirSync({ prefix: "zt-home-" });
  try {
    const home = new Home(path);
    for (const age of ages) {
      const name = `peers.d/${age}.peer`;
      home.write(name, Uint8Array.of(1));
      const seenS = (NOW_MS - age * DAY_MS) / 1_000;
      Deno.utimeSync(home.pathOf(name), seenS, seenS);
    }
    await use(home);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

const options = {
  wallMs: NOW_MS,
  signal: new AbortController().signal,
  keep: new Set<string>(),
};

Deno.test("cleanPeers() forgets peers of more than a month ago, and the oldest of too many", () =>
  withPeers([40, 3, 1, 2], async (home) => {
    await cleanPeers(home, options);
    assert.deepEqual(home.list("peers.d"), ["1.peer", "2.peer", "3.peer"]);
    await cleanPeers(home, { ...options, filesMax: 2 });
    assert.deepEqual(home.list("peers.d"), ["1.peer", "2.peer"]);
  }));

Deno.test("cleanPeers() keeps fellow members, however old and many", () =>
  withPeers([40, 50, 3, 1], async (home) => {
    await cleanPeers(home, { ...options, keep: new Set(["50.peer", "3.peer"]), filesMax: 1 });
    assert.deepEqual(home.list("peers.d"), ["1.peer", "3.peer", "50.peer"]);
  }));

Deno.test("cleanPeers() has nothing to do where nothing is kept", () =>
  withPeers([], (home) => cleanPeers(home, options)));

Deno.test("cleanPeers() lets others have their turn, and ends when told", () =>
  withPeers(Array.from({ length: 60 }, (_, i) => 31 + i), async (home) => {
    const end = new AbortController();
    const done = cleanPeers(home, { ...options, signal: end.signal });
    await new Promise<void>((resolve) => {
      const look = () => home.list("peers.d").length < 60 ? resolve() : setTimeout(look);
      look();
    });
    end.abort();
    await done;
    const left = home.list("peers.d").length;
    assert.ok(left > 0, `${left} are left: it had not gone through all of them at once`);
  }));
