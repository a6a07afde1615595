/** (m) Bonds with the reference: two uplinks each, either side or both bonded. @module */
import assert from "node:assert/strict";
import { interopTest } from "./reference.ts";
import { Scene } from "./scene.ts";
import type { Kind, Station } from "./station.ts";

const PORT = 7_700;
const PING_BYTES = 500;
const PING_EVERY_MS = 50;
const STREAM_BYTES = 5_000_000;
/** The reference uses a new path for so long, dead or alive. */
const REFERENCE_TRIAL_MS = 16_000;
const DEVICES = ["eth0", "eth1"];

interface Cast {
  readonly scene: Scene;
  readonly nodes: readonly [Station, Station];
  /** Of each in the network. */
  readonly ips: readonly [string, string];
}

/** What a bonded peer's paths look like in either program's API. */
interface BondJson {
  bondingPolicyStr: string;
  paths: { ifname: string; eligible: number; bonded: number; latencyMean: number }[];
}

/** Two nodes with a second cable between them. @param policies Of each; undefined for no bond */
async function cast(
  kinds: readonly [Kind, Kind],
  policies: readonly (string | undefined)[],
): Promise<Cast> {
  const scene = await Scene.prepare({ root: "zt", nodes: kinds });
  try {
    const nodes = [scene.nodes[0], scene.nodes[1]] as const;
    scene.lab.switch(nodes.map(({ host }) => host), { ipv4: "10.88.0.0", ipv6: null });
    for (const [i, node] of nodes.entries()) {
      // One family and one port make one path a cable.
      const settings = {
        defaultBondingPolicy: policies[i],
        policies: {
          quick: { basePolicy: "active-backup", failoverInterval: 1_000 },
          mixed: { basePolicy: "balance-xor", failoverInterval: 1_500 },
        },
        allowSecondaryPort: false,
        portMappingEnabled: false,
      };
      const physical = { "fd77::/16": { blacklist: true } };
      await Deno.writeTextFile(`${node.home}/local.conf`, JSON.stringify({ physical, settings }));
    }
    await scene.startAll();
    const network = await scene.network();
    const [a, b] = await Promise.all(nodes.map((node) => node.join(network)));
    await nodes[0].untilReaches(b);
    await nodes[1].untilReaches(a);
    return { scene, nodes, ips: [a, b] };
  } catch (error) {
    await scene.end();
    throw error;
  }
}

async function bondOf(node: Station, to: Station): Promise<BondJson | undefined> {
  const { address } = await to.status();
  const { status, text } = await node.request("GET", `/bond/show/${address}`);
  return status === 200 ? JSON.parse(text) : undefined;
}

/** Waits until a bond may use both cables. Something must go on meanwhile: idle peers have no bond. */
function bonded({ nodes, ips }: Cast, node: Station, to: Station): Promise<void> {
  return node.until("bonded over both cables", async () => {
    await node.reaches(ips[nodes.indexOf(to)]);
    const bond = await bondOf(node, to);
    return DEVICES.every((device) =>
      bond?.paths.some(({ ifname, eligible }) => ifname === device && eligible === 1)
    );
  });
}

/** Pings at a steady rate. @returns how many were lost, and the time that means */
async function losses(node: Station, ip: string, count: number, during: () => Promise<void>) {
  const task = { ip, port: PORT, sizeBytes: PING_BYTES, count, intervalMs: PING_EVERY_MS };
  const [{ rttsMs }] = await Promise.all([node.agent.ask("ping", task), during()]);
  const lost = count - rttsMs.length;
  return { lost, gapMs: lost * PING_EVERY_MS };
}

const later = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A cable that carries nothing any more, and shows nothing of it. */
async function cut(node: Station, device: string): Promise<void> {
  const rules = `table inet cut {
    chain in { type filter hook input priority 0; iifname "${device}" drop; }
    chain out { type filter hook output priority 0; oifname "${device}" drop; }
  }`;
  const path = `${node.home}/cut.nft`;
  await Deno.writeTextFile(path, rules);
  const { code, stderr } = await node.run(["nft"], "-f", path);
  assert.equal(code, 0, stderr);
}

/** The cable that carries most of what a node sends while something is done. */
async function sentBy(node: Station, during: () => Promise<unknown>): Promise<number[]> {
  const read = async () => {
    const { stdout } = await node.run(["cat"], "/proc/net/dev");
    return DEVICES.map((device) => {
      const line = stdout.split("\n").find((one) => one.trim().startsWith(`${device}:`))!;
      return Number(line.split(":")[1].trim().split(/\s+/)[9]); // packets sent
    });
  };
  const before = await read();
  await during();
  return (await read()).map((count, i) => count - before[i]);
}

async function activeDevice(node: Station, ip: string): Promise<string> {
  const counts = await sentBy(node, () => node.pings(ip, PING_BYTES));
  return DEVICES[counts[0] > counts[1] ? 0 : 1];
}

function measured(what: string, value: number, unit: string): void {
  console.log(`measured: ${what}: ${value} ${unit}`);
}

interopTest("(m) active-backup on both sides: another cable takes over", async () => {
  const stage = await cast(["zt", "reference"], ["quick", "quick"]);
  await using _ = stage.scene;
  const [zt, reference] = stage.nodes;
  await bonded(stage, zt, reference);
  await bonded(stage, reference, zt);
  assert.equal((await bondOf(zt, reference))?.bondingPolicyStr, "active-backup");
  await later(REFERENCE_TRIAL_MS);
  const device = await activeDevice(zt, stage.ips[1]);
  const { lost, gapMs } = await losses(zt, stage.ips[1], 200, async () => {
    await later(2_000);
    await cut(zt, device);
  });
  measured("active-backup with the reference: gap", gapMs, "ms");
  assert.ok(lost < 100, `${gapMs} ms`);
  await zt.pings(stage.ips[1], PING_BYTES);
  await reference.pings(stage.ips[0], PING_BYTES);
});

interopTest(
  "(m) balance-xor on both sides: both cables carry, and each measures the other",
  async () => {
    const stage = await cast(["zt", "reference"], ["mixed", "mixed"]);
    await using _ = stage.scene;
    const [zt, reference] = stage.nodes;
    await bonded(stage, zt, reference);
    await bonded(stage, reference, zt);
    const counts = await sentBy(zt, async () => {
      // Each is a flow of its own.
      for (let i = 0; i < 12; i++) await zt.pings(stage.ips[1], PING_BYTES, 10);
      await zt.streams(stage.ips[1], STREAM_BYTES);
      await reference.streams(stage.ips[0], STREAM_BYTES);
    });
    assert.ok(Math.min(...counts) > 30, `${counts} packets by cable`);
    await zt.until("both measure both cables", async () => {
      await zt.pings(stage.ips[1], PING_BYTES, 5);
      const bonds = [await bondOf(zt, reference), await bondOf(reference, zt)];
      return bonds.every((bond) =>
        DEVICES.every((device) =>
          bond?.paths.some(({ ifname, latencyMean }) => ifname === device && latencyMean > 0)
        )
      );
    });
    // Its trial is over long since: without our reports it would not use its paths any more.
    const theirs = await bondOf(reference, zt);
    assert.ok(theirs!.paths.filter(({ eligible }) => eligible === 1).length >= 2);
  },
);

interopTest("(m) the reference broadcasts: each datagram comes twice and counts once", async () => {
  const stage = await cast(["zt", "reference"], [undefined, "broadcast"]);
  await using _ = stage.scene;
  const [zt, reference] = stage.nodes;
  await bonded(stage, reference, zt);
  const duplicates = async () =>
    (await zt.counts()).data.statistics as unknown as { dropped_duplicate: number };
  const before = (await duplicates()).dropped_duplicate;
  await reference.pings(stage.ips[0], PING_BYTES, 40);
  const dropped = (await duplicates()).dropped_duplicate - before;
  assert.ok(dropped >= 30, `${dropped} copies dropped of 40 datagrams`);
  const { lost } = await losses(reference, stage.ips[0], 60, async () => {
    await later(1_000);
    await cut(reference, "eth1");
  });
  measured("the reference broadcasts, a cable dies: lost", lost, "datagrams");
  assert.ok(lost < 50);
});

interopTest(
  "(m) we broadcast to the reference: a cable dies and nothing is lost on the way there",
  async () => {
    const stage = await cast(["zt", "reference"], ["broadcast", "broadcast"]);
    await using _ = stage.scene;
    const [zt, reference] = stage.nodes;
    await bonded(stage, zt, reference);
    await bonded(stage, reference, zt);
    const counts = await sentBy(zt, () => zt.pings(stage.ips[1], PING_BYTES, 40));
    assert.ok(Math.min(...counts) >= 40, `${counts} packets by cable`);
    const { lost } = await losses(zt, stage.ips[1], 100, async () => {
      await later(2_000);
      await cut(zt, "eth0");
    });
    measured("both broadcast, a cable dies: lost", lost, "datagrams");
    assert.equal(lost, 0);
    await zt.streams(stage.ips[1], STREAM_BYTES);
    await reference.streams(stage.ips[0], STREAM_BYTES);
  },
);

for (const policy of ["balance-rr", "balance-aware"]) {
  interopTest(`(m) ${policy} towards a reference without bonds: streams arrive whole`, async () => {
    const stage = await cast(["zt", "reference"], [policy, undefined]);
    await using _ = stage.scene;
    const [zt, reference] = stage.nodes;
    await bonded(stage, zt, reference);
    await zt.streams(stage.ips[1], STREAM_BYTES);
    await reference.streams(stage.ips[0], STREAM_BYTES);
    assert.equal(await bondOf(reference, zt), undefined);
    const { address } = await reference.status();
    const shown = await zt.zt("bond", "show", address);
    assert.match(shown, new RegExp(`^${address}: ${policy}, 2 of 2 paths alive`));
    // Either zerotier-cli prints the same of our service, but for figures that change.
    const printed = async (kind: Kind, ...words: string[]) =>
      (await zt.cli(kind, "bond", ...words)).stdout.replace(
        /\d+\.\d+|\d+(?= )/g,
        (n) => n.replace(/\d/g, "0"),
      );
    assert.equal(await printed("zt", "list"), await printed("reference", "list"));
    const [ours, theirs] = [
      await printed("zt", address, "show"),
      await printed("reference", address, "show"),
    ];
    assert.deepEqual(ours.split("\n").slice(0, 13), theirs.split("\n").slice(0, 13));
    assert.equal(ours.split("\n").length, theirs.split("\n").length);
  });
}
