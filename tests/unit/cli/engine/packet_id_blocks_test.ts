import assert from "node:assert/strict";
import { Home } from "../../../../cli/engine/home.ts";
import { PacketIdBlocks, type PacketIdSetup } from "../../../../cli/engine/packet_id_blocks.ts";
import { machinePrimitives } from "../../../../cli/engine/primitives.ts";
import { toHex } from "../../../../lib/base/bytes.ts";
import { IDS_PER_BLOCK, PacketIds } from "../../../../lib/node/packet_ids.ts";

const NOW_S = 1_800_000_000;

function inHome(use: (home: Home) => void): void {
  const path = Deno.makeTempDirSync({ prefix: "zt-ids-" });
  try {
    use(new Home(path));
  } finally {
    Deno.chmodSync(path, 0o700);
    Deno.removeSync(path, { recursive: true });
  }
}

/** One run of the program. */
function run(home: Home, changes: Partial<PacketIdSetup> = {}) {
  const lines: string[] = [];
  const blocks = new PacketIdBlocks({
    home,
    secretKey: new Uint8Array(64).fill(7),
    sha512: machinePrimitives.sha512,
    random: (bytes) => {
      crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>);
    },
    wallS: () => NOW_S,
    log: (line) => lines.push(line),
    ...changes,
  });
  return { blocks, lines };
}

/** What names a block: no two may be equal. */
function names(blocks: PacketIdBlocks, count: number): string[] {
  return Array.from({ length: count }, () => {
    const { key, low, high } = blocks.take();
    assert.equal(low, 0);
    assert.equal(high % (IDS_PER_BLOCK / 2 ** 32), 0);
    return `${[...key].join()} ${high}`;
  });
}

function assertApart(all: readonly string[]): void {
  assert.equal(new Set(all).size, all.length, "no block is given out twice");
}

Deno.test("PacketIdBlocks gives no block twice, within a run and across runs in one second", () =>
  inHome((home) => {
    const all = [3, 20, 1, 9].flatMap((count) => names(run(home).blocks, count));
    assertApart(all);
    assert.equal(new Set(all.map((name) => name.split(" ")[0])).size, 1); // one key, one account
  }));

Deno.test("PacketIds of two runs share no id", () =>
  inHome((home) => {
    const draw = () => {
      const { blocks } = run(home);
      const ids = [new PacketIds(() => blocks.take()), new PacketIds(() => blocks.take())];
      return ids.flatMap((one) => Array.from({ length: 20_000 }, () => toHex(one.next())));
    };
    assertApart([...draw(), ...draw()]);
  }));

Deno.test("PacketIdBlocks repeats nothing when the home folder is an older one, or the file is lost: time went on", () =>
  inHome((home) => {
    const first = names(run(home).blocks, 4);
    const old = home.readText("packet-ids")!;
    const second = names(run(home, { wallS: () => NOW_S + 60 }).blocks, 4);
    home.write("packet-ids", old);
    const restored = names(run(home, { wallS: () => NOW_S + 120 }).blocks, 4);
    home.remove("packet-ids");
    const lost = names(run(home, { wallS: () => NOW_S + 180 }).blocks, 4);
    assertApart([...first, ...second, ...restored, ...lost]);
  }));

Deno.test("PacketIdBlocks repeats nothing when the clock goes back: the file knows", () =>
  inHome((home) => {
    const all = [NOW_S, NOW_S - 1_000_000, 0, NOW_S].flatMap((now) =>
      names(run(home, { wallS: () => now }).blocks, 5)
    );
    assertApart(all);
  }));

Deno.test("PacketIdBlocks draws a key for the run where it can remember nothing", () =>
  inHome((home) => {
    const noClock = { wallS: () => 12 }; // 1970, and no file
    const keys = [run(home, noClock), run(home, noClock)].flatMap(({ blocks }) =>
      [blocks.take(), blocks.take()].map(({ key }) => key.join())
    );
    assertApart(keys);
    assert.equal(home.readText("packet-ids"), undefined);
  }));

Deno.test("PacketIdBlocks goes on with a key of the run's own when the file cannot be written, and says why", () =>
  inHome((home) => {
    Deno.mkdirSync(home.pathOf("packet-ids"));
    const { blocks, lines } = run(home);
    const [{ key }, again] = [blocks.take(), blocks.take()];
    assert.notDeepEqual(key, again.key);
    assert.match(lines[0], /^packet ids get a key of this run's own: .*packet-ids is not a file/);
  }));

Deno.test("PacketIdBlocks sets a torn file aside and goes by the time", () =>
  inHome((home) => {
    home.write("packet-ids", "12\u00004");
    const { blocks, lines } = run(home);
    assertApart([...names(blocks, 3), ...names(run(home).blocks, 3)]);
    assert.match(lines[0], /packet-ids: not a number; set aside as packet-ids.bad-1/);
  }));

Deno.test("PacketIdBlocks of two identities have different keys", () =>
  inHome((home) => {
    const [a] = names(run(home).blocks, 1);
    const [b] = names(run(home, { secretKey: new Uint8Array(64).fill(8) }).blocks, 1);
    assert.notEqual(a.split(" ")[0], b.split(" ")[0]);
  }));
