import assert from "node:assert/strict";
import { openApiServer } from "../../../../cli/api/server.ts";
import type { PeerInfo, StatusInfo } from "../../../../cli/api/view.ts";
import type { JsonObject } from "../../../../cli/engine/json.ts";
import { run } from "../../../../cli/main.ts";
import { FakeService } from "../api/fake_service.ts";

const TOKEN = "t".repeat(24);
const PEER = "19810bb6a3";

function path(changes: Partial<PeerInfo["paths"][number]>): PeerInfo["paths"][number] {
  return {
    active: true,
    address: "10.77.0.2/9993",
    expired: false,
    lastReceive: 1,
    lastSend: 1,
    localPort: 9993,
    localSocket: 1,
    preferred: false,
    trustedPathId: 0,
    ifname: "eth0",
    latencyMean: 12.3,
    latencyVariance: 1,
    packetLossRatio: 0.25,
    packetErrorRatio: 0,
    assignedFlowCount: 128,
    lastInAge: 3_200,
    lastOutAge: 100,
    bonded: 1,
    eligible: 1,
    givenLinkSpeed: 0,
    relativeQuality: 0.5,
    ...changes,
  };
}

const bonded: PeerInfo = {
  address: PEER,
  isBonded: true,
  latency: 1,
  paths: [
    path({ preferred: true }),
    path({ ifname: "eth1", address: "10.78.0.2/9993", latencyMean: 0, relativeQuality: 0 }),
    path({ localPort: 22_402, bonded: 0, assignedFlowCount: 0 }),
    path({ ifname: "wwan0", eligible: 0, bonded: 0, assignedFlowCount: 0 }),
  ],
  role: "LEAF",
  tunneled: false,
  version: "1.14.1",
  versionMajor: 1,
  versionMinor: 14,
  versionRev: 1,
  bondingPolicyCode: 1,
  bondingPolicyStr: "active-backup",
  numAliveLinks: 3,
  numTotalLinks: 4,
  failoverInterval: 5_000,
  downDelay: 0,
  upDelay: 0,
  packetsPerLink: 64,
};

/** Runs commands against a service with one bonded peer. @param use Gets what runs one: its text, then its exit code */
async function withBonds(
  use: (
    zt: (...words: string[]) => Promise<[string, number]>,
    service: FakeService,
    log: string[],
  ) => Promise<void>,
): Promise<void> {
  const home = Deno.makeTempDirSync({ prefix: "zt-bond-" });
  const service = new FakeService({ address: "8056c2e21c" } as StatusInfo);
  const log: string[] = [];
  service.peerList = [bonded, { ...bonded, address: "1111111111", isBonded: false }];
  service.bonds = {
    show: (address) => address.toString(16) === PEER ? bonded as unknown as JsonObject : undefined,
    rotate: (address) => address.toString(16) === PEER,
    setMtu: (...words) => {
      log.push(words.join(" "));
      return words[1] === "eth0" ? undefined : "Unable to find specified link";
    },
  };
  const policy = { authToken: TOKEN, metricsToken: "m", allowManagementFrom: () => [] };
  const server = await openApiServer({ view: service, policy, port: 0 });
  Deno.writeTextFileSync(`${home}/zerotier-one.port`, String(server.port));
  Deno.writeTextFileSync(`${home}/authtoken.secret`, TOKEN);
  try {
    await use(
      async (...words) => {
        let text = "";
        const take = (more: string) => void (text += more);
        const exit = await run(["-D", home, ...words], { out: take, err: take });
        return [text, exit];
      },
      service,
      log,
    );
  } finally {
    await server.close();
    Deno.removeSync(home, { recursive: true });
  }
}

Deno.test("zt bond list names the bonded peers, their policy and what they go by", async () => {
  await withBonds(async (zt, service) => {
    assert.deepEqual(await zt("bond", "list"), [
      "peer        policy         alive  interfaces\n19810bb6a3  active-backup  3/4    eth0 eth1\n",
      0,
    ]);
    service.peerList = [];
    assert.deepEqual(await zt("bond", "list"), ["no bonds\n", 0]);
  });
});

Deno.test("zt bond show prints a line a path, in either order of words", async () => {
  await withBonds(async (zt) => {
    const [text, exit] = await zt("bond", "show", PEER);
    assert.equal(exit, 0);
    assert.deepEqual(text.split("\n"), [
      "19810bb6a3: active-backup, 3 of 4 paths alive, silent ones fail after 5 s",
      "interface  port   to              state   latency  jitter  loss  quality  flows    heard",
      "eth0       9993   10.77.0.2/9993  active  12 ms    1.0 ms  25 %  0.50     128/256  3 s",
      "eth1       9993   10.78.0.2/9993  next    -        -       25 %  -        128/256  3 s",
      "eth0       22402  10.77.0.2/9993  spare   12 ms    1.0 ms  25 %  0.50     -        3 s",
      "wwan0      9993   10.77.0.2/9993  out     12 ms    1.0 ms  25 %  0.50     -        3 s",
      "",
    ]);
    assert.deepEqual(await zt("bond", PEER, "show"), [text, 0]);
    const [json] = await zt("-j", "bond", "show", PEER);
    assert.equal(JSON.parse(json).bondingPolicyStr, "active-backup");
  });
});

Deno.test("zt bond rotate goes on, in either order of words", async () => {
  await withBonds(async (zt) => {
    for (const words of [["rotate", PEER], [PEER, "rotate"]]) {
      assert.deepEqual(await zt("bond", ...words), [`${PEER} goes by its next path\n`, 0]);
    }
  });
});

Deno.test("zt bond setmtu passes on what it is told", async () => {
  await withBonds(async (zt, _, log) => {
    const [text, exit] = await zt("bond", "setmtu", "1400", "eth0", "10.0.0.1");
    assert.deepEqual([text, exit], ["MTU of eth0 set to 1400\n", 0]);
    assert.deepEqual(log, ["1400 eth0 10.0.0.1"]);
  });
});

Deno.test("zt bond says what is wrong, in the words of its user", async () => {
  await withBonds(async (zt, service) => {
    const cases: [string[], RegExp, number][] = [
      [["show", "1111111111"], /1111111111 has no bond; see: zt bond list/, 1],
      [["rotate", "1111111111"], /no active-backup bond with a second path/, 1],
      [["setmtu", "1400", "eth9", "10.0.0.1"], /no bond has a path by eth9 at 10\.0\.0\.1/, 1],
      [["show", "xx"], /"xx" is not an address/, 2],
      [[], /say what to do: list, show, rotate or setmtu/, 2],
      [[PEER, "frob"], /say what to do/, 2],
    ];
    for (const [words, message, code] of cases) {
      const [text, exit] = await zt("bond", ...words);
      assert.match(text, message);
      assert.equal(exit, code, words.join(" "));
    }
    service.bonds = undefined;
    assert.match((await zt("bond", "show", PEER))[0], /has no bond/);
  });
});
