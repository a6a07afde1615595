import assert from "node:assert/strict";
import type { NamesInfo, NetworkInfo, PeerInfo } from "../../../cli/api/view.ts";

import { ID, inHome, withService, zt } from "./program.ts";

Deno.test("join joins, and with --wait returns when the network is usable", () =>
  withService(async (service, home) => {
    const plain = await zt(["join", ID.toUpperCase(), "-D", home]);
    assert.deepEqual([plain.exit, plain.err], [0, ""]);
    assert.equal(
      plain.out,
      `joined ${ID}: waiting for the controller 8056c2e21c to answer; is it running, and on this planet?\n`,
    );
    const network: NetworkInfo = {
      ...service.networkList[0],
      status: "OK",
      name: "lab",
      portDeviceName: "zt0",
      assignedAddresses: ["10.1.0.2/24"],
    };
    const denied: NetworkInfo = { ...network, status: "ACCESS_DENIED" };
    const rounds = [{ ready: false, network: denied }, { ready: false, network: denied }, {
      ready: true,
      network,
    }];
    service.waitNetwork = () => Promise.resolve(rounds.shift()!);
    const waited = await zt(["join", ID, "--wait", "-D", home]);
    assert.equal(waited.exit, 0);
    assert.equal(waited.out, `joined ${ID} (lab): zt0 10.1.0.2/24\n`);
    assert.equal(
      waited.err,
      `waiting for authorization: on the controller, run \`zt controller member authorize ${ID} 19810bb6a3\`\n`,
    );
  }));

Deno.test("join --wait ends with 3 and the reason when time is over", () =>
  withService(async (service, home) => {
    await zt(["join", ID, "-D", home]);
    const network: NetworkInfo = { ...service.networkList[0], status: "NOT_FOUND" };
    service.waitNetwork = () => Promise.resolve({ ready: false, network });
    const { exit, err, out } = await zt(["join", ID, "--wait", "--timeout", "0.05", "-D", home]);
    assert.deepEqual([exit, out], [3, ""]);
    assert.equal(
      err,
      `zt: ${ID} is not usable after 0.05 s: the controller 8056c2e21c knows no such network; check the id\n`,
    );
  }));

Deno.test("leave, networks and peers say what is, in words", () =>
  withService(async (service, home) => {
    assert.equal(
      (await zt(["networks", "-D", home])).out,
      "no networks; join one with: zt join <network>\n",
    );
    assert.equal((await zt(["leave", ID, "-D", home])).out, `${ID} was not joined\n`);
    await zt(["join", ID, "-D", home]);
    const { out } = await zt(["networks", "-D", home]);
    assert.match(
      out,
      /^network +name +status +interface +addresses\n8056c2e21c000001 +- +REQUESTING_CONFIGURATION/,
    );
    assert.equal((await zt(["leave", ID, "-D", home])).out, `left ${ID}\n`);
    assert.equal((await zt(["peers", "-D", home])).out, "no peers yet\n");
    service.peerList = [{
      address: "7d6fc6c765",
      role: "PLANET",
      latency: -1,
      paths: [],
      tunneled: false,
      version: "-1.-1.-1",
      versionMajor: -1,
      relayReason: "its firewall drops us",
    } as unknown as PeerInfo];
    assert.match(
      (await zt(["peers", "-D", home])).out,
      /\n7d6fc6c765 +PLANET +- +relayed +- +- +- +- +its firewall drops us\n$/,
    );
  }));

Deno.test("peers tells round trip, loss and age, or through whom, why, and when it tries again", () =>
  withService(async (service, home) => {
    const link = { roundTripMs: 4.25, lossFraction: 0.0625, probes: 32, heardMs: 1_200 };
    const direct = { ...link, kind: "direct", sinceMs: 200_000, reason: null, nextTryMs: null };
    const relayed = {
      ...{ kind: "relayed", through: "7d6fc6c765", roundTripMs: null, lossFraction: null },
      ...{ sinceMs: null, heardMs: 61_000, reason: "it hides", nextTryMs: 8_000 },
    };
    const peer = { role: "LEAF", latency: 4, paths: [], version: "1.14.1", versionMajor: 1 };
    const path = { address: "10.0.0.9/9993", preferred: true };
    service.peerList = [
      { ...peer, address: "1111111111", paths: [path], link: direct },
      { ...peer, address: "2222222222", link: relayed, relayReason: "it hides" },
    ] as unknown as PeerInfo[];
    const [, first, second] = (await zt(["peers", "-D", home])).out.split("\n");
    assert.match(first, /^1{10} +LEAF +1.14.1 +direct +4.3 ms +6 % +3 min +1 s +10.0.0.9\/9993$/);
    assert.match(
      second,
      /^2{10} +LEAF +1.14.1 +relayed +- +- +- +1 min +through 7d6fc6c765: it hides; next try in 8 s$/,
    );
  }));

Deno.test("doctor asks the service, and ends with 1 when there is a problem", () =>
  withService(async (service, home) => {
    const nat = { kind: "none", surfaces: ["10.0.0.1/9993"], witnesses: 1 };
    service.facts = {
      ...{ address: "19810bb6a3", version: "0.1.0", online: true },
      machine: { tun: "ok", canAdminNetwork: true, home, openFilesMax: 1_000, openFiles: 9 },
      ports: { bound: ["10.0.0.1/9993"], refused: [] },
      ...{
        isUdpForbidden: false,
        tcpRelay: null,
        ipv4: nat,
        ipv6: nat,
        devices: [],
        moonsAwaited: [],
      },
      roots: [{ address: "7d6fc6c765", link: "udp", path: "10.0.0.2/9993", heardMs: 5 }],
      portMapping: { enabled: false, ports: [] },
      clock: { movedMs: 0, planetMs: 0 },
    } as unknown as typeof service.facts;
    Object.assign(service.facts.machine, {
      ...{ userId: 0, homeTrouble: null, homeFreeBytes: null, clockMs: 1_790_000_000_000 },
      ...{ settingsTrouble: null, settingsUnknown: [] },
    });
    Object.assign(service.facts.roots[0], { roundTripMs: 1, lossFraction: 0, endpoints: [] });
    const well = await zt(["doctor", "-D", home]);
    assert.equal(well.exit, 0, well.out);
    assert.match(well.out, /\nok +UDP +1 of 1 roots answer over UDP\n/);
    service.facts.machine.tun = "missing";
    const ill = await zt(["doctor", "-D", home, "--json"]);
    assert.equal(ill.exit, 1);
    const { problems, findings, facts } = JSON.parse(ill.out);
    assert.deepEqual([problems, facts.address], [1, "19810bb6a3"]);
    assert.equal(findings[1].remedy.split(":")[0], "load it with");
  }));

Deno.test("doctor says what it can where no service runs", () =>
  inHome(async (home) => {
    const { out, exit } = await zt(["doctor", "-D", home]);
    assert.equal(exit, 1);
    assert.match(
      out,
      /^PROBLEM +service +none has run on .*\n +-> start it with: zt service --background\n/,
    );
    assert.match(out, /\nok +home folder +.* is writable/);
    assert.match(out, /\n\? +roots +needs a running service\n/);
    assert.match(out, /6 not checked\n$/);
    Deno.writeTextFileSync(`${home}/local.conf`, '{"settings":{"bind":1}}');
    const broken = await zt(["doctor", "-D", home]);
    assert.match(broken.out, /\nPROBLEM +local\.conf +local\.conf: settings\.bind must be a list/);
    Deno.writeTextFileSync(`${home}/local.conf`, '{"settings":{"bined":[]}}');
    const misspelt = await zt(["doctor", "-D", home]);
    assert.match(misspelt.out, /\nnote +local\.conf +settings\.bined: no effect here\n/);
  }));

Deno.test("names says what members are called, who answers and who asks", () =>
  withService(async (service, home) => {
    const names = (...words: string[]) => zt(["names", ...words, "-D", home]);
    assert.equal((await names()).out, "no networks joined\n");
    const office: NamesInfo = {
      nwid: ID,
      name: "Office",
      domains: ["office.zt", `${ID}.zt`],
      server: "10.1.0.2",
      trouble: null,
      askedBy: "systemd-resolved",
      onDemand: false,
      members: [
        { address: "a0b1c2d3e4", name: "nas", ips: ["10.1.0.9", "fd00::9"] },
        { address: "a0b1c2d3e5", name: "a0b1c2d3e5", ips: [] },
      ],
    };
    const empty = { server: null, askedBy: null, members: [] };
    service.namesList = [
      office,
      { ...office, ...empty, nwid: "8056c2e21c000002", domains: [] },
      { ...office, ...empty, nwid: "8056c2e21c000003", trouble: "port 53 is taken" },
      { ...office, nwid: "8056c2e21c000004", askedBy: null, onDemand: true, members: [] },
      { ...office, nwid: "8056c2e21c000005", onDemand: true },
    ];
    assert.equal(
      (await names(ID)).out,
      `${ID}: names are answered at 10.1.0.2, asked by systemd-resolved\n` +
        "nas.office.zt         a0b1c2d3e4  10.1.0.9, fd00::9\n" +
        "a0b1c2d3e5.office.zt  a0b1c2d3e5  -\n",
    );
    assert.equal(
      (await names()).out.split("\n\n").slice(1).join("\n"),
      "8056c2e21c000002: its controller hands out no names\n" +
        "8056c2e21c000003: names are not answered: port 53 is taken\n" +
        "8056c2e21c000004: names are answered at 10.1.0.2, which nothing on this machine asks by itself\n" +
        "there are too many to list, and the controller, which knows them, has not joined\n" +
        "8056c2e21c000005: names are answered at 10.1.0.2, asked by systemd-resolved\n" +
        "nas.office.zt         a0b1c2d3e4  10.1.0.9, fd00::9\n" +
        "a0b1c2d3e5.office.zt  a0b1c2d3e5  -\n" +
        "and others, which the controller is asked for\n",
    );
    const unknown = await names("8056c2e21c000009");
    assert.deepEqual([unknown.exit, unknown.err], [1, "zt: 8056c2e21c000009 is not joined\n"]);
  }));

Deno.test("words of the reference print JSON when asked, also those that have none there", () =>
  withService(async (_service, home) => {
    await zt(["join", ID, "-D", home]);
    const folder = Deno.cwd();
    Deno.chdir(home);
    try {
      const json = async (...argv: string[]) => {
        const { out, err, exit } = await zt([...argv, "--json", "-D", home]);
        assert.deepEqual([exit, err], [0, ""], argv.join(" "));
        return JSON.parse(out);
      };
      assert.deepEqual(await json("get", ID, "allowManaged"), { allowManaged: "1" });
      assert.equal((await json("set", ID, "allowGlobal=1")).allowGlobal, true);
      assert.deepEqual(await json("listpeers"), []);
      assert.deepEqual(await json("orbit", "8056c2e21c", "8056c2e21c"), { result: true });
      assert.deepEqual(await json("deorbit", "8056c2e21c"), { result: true });
      assert.deepEqual(await json("dump"), { written: `${Deno.cwd()}/zerotier_dump.txt` });
      assert.equal((await json("/status")).address, "19810bb6a3");
      assert.equal(typeof (await json("/metrics")).text, "string");
    } finally {
      Deno.chdir(folder);
    }
  }));

Deno.test("words of the reference refuse in our form what it passes over in silence", () =>
  withService(async (service, home) => {
    const cases: [string[], number, RegExp][] = [
      [["set", ID, "allowFoo=1"], 2, /"allowFoo=1" is none of allowManaged=0\|1, allowGlobal/],
      [["set", ID, "allowDefault"], 2, /"allowDefault" is none of/],
      [["set", ID, "allowDefault=perhaps"], 2, /is none of/],
      [["set", "123", "allowDefault=1"], 2, /"123" is not a network id/],
      [["get", "123", "ip"], 2, /"123" is not a network id/],
      [["get", ID, "ip"], 1, /unknown network ID/],
      [["orbit", "x", "8056c2e21c"], 2, /"x" is not an address/],
      [["deorbit", "123"], 2, /"123" is not an address/],
      [["/nosuch"], 1, /the service answered 404 \/nosuch/],
    ];
    for (const [argv, code, message] of cases) {
      const { exit, out, err } = await zt([...argv, "-D", home]);
      assert.deepEqual([exit, out, err.split("\n").length], [code, "", 2], `${argv}: ${err}`);
      assert.match(err, message);
    }
    assert.deepEqual(service.log, []);
    const missing = await zt(["/nosuch", "-j", "-D", home]);
    assert.equal(JSON.parse(missing.err).error.code, "not-found");
    assert.equal((await zt(["orbit", "8056c2e21c", "8056c2e21c", "-D", home])).exit, 0);
  }));

Deno.test("controller commands ask the controller for what the words say", () =>
  withService(async (service, home) => {
    service.controllerAnswer = {
      status: 200,
      json: {
        id: ID,
        nwid: ID,
        name: "office",
        private: true,
        address: "a0b1c2d3e4",
        authorized: true,
        mtu: 2800,
        revision: 1,
      },
    };
    const c = (...argv: string[]) => zt(["controller", ...argv, "-D", home]);
    const created = await c(
      "network",
      "create",
      "--name",
      "office",
      "--ipv4",
      "10.1.2.3/30",
      "mtu=1400",
    );
    assert.match(
      created.out,
      new RegExp(
        `\nothers join with: zt join ${ID}\nand are let in with: zt controller member authorize ${ID} <address>\n$`,
      ),
    );
    await c("network", "set", ID, "--public", 'dns={"domain":"lan","servers":[]}', "name=5x");
    await c("network", "show", ID);
    await c("network", "delete", ID);
    const allowed = await c("member", "authorize", ID, "A0B1C2D3E4", "a0b1c2d3e5");
    assert.equal(
      allowed.out,
      `A0B1C2D3E4 is authorized on ${ID}\na0b1c2d3e5 is authorized on ${ID}\n`,
    );
    await c("member", "deauthorize", ID, "a0b1c2d3e4");
    const words = ["--name", "nas", "--ip", "10.1.2.9", "activeBridge=true"];
    await c("member", "set", ID, "a0b1c2d3e4", ...words);
    await c("network", "create", "--public");
    await c("member", "delete", ID, "a0b1c2d3e4");
    const net = `/controller/network/${ID}`;
    const member = `${net}/member/a0b1c2d3e4`;
    assert.deepEqual(service.controllerCalls, [
      "POST /controller/network/19810bb6a3______ " +
      '{"ipAssignmentPools":[{"ipRangeEnd":"10.1.2.2","ipRangeStart":"10.1.2.1"}],"mtu":1400,"name":"office",' +
      '"names":true,"routes":[{"target":"10.1.2.0/30","via":null}],"v4AssignMode":{"zt":true}}',
      `GET ${net}`,
      `POST ${net} {"dns":{"domain":"lan","servers":[]},"name":"5x","private":false}`,
      `GET ${net}`,
      `DELETE ${net}`,
      `POST ${member} {"authorized":true}`,
      `POST ${net}/member/a0b1c2d3e5 {"authorized":true}`,
      `POST ${member} {"authorized":false}`,
      `POST ${member} {"activeBridge":true,"ipAssignments":["10.1.2.9"],"name":"nas"}`,
      'POST /controller/network/19810bb6a3______ {"private":false}',
      `DELETE ${member}`,
    ]);
    service.controllerAnswer = { status: 404 };
    const unknown = await c("network", "show", ID);
    assert.deepEqual([unknown.exit, unknown.err], [
      1,
      `zt: this controller has no network ${ID}\n`,
    ]);
  }));

Deno.test("controller commands refuse settings that are none, and change nothing", () =>
  withService(async (service, home) => {
    const c = (...argv: string[]) => zt(["controller", ...argv, "-D", home]);
    const network = ["network", "set", ID];
    const member = ["member", "set", ID, "a0b1c2d3e4"];
    const refusals: [string[], RegExp][] = [
      [[...network, "nonsense=1"], /there is no setting "nonsense", but name, private,/],
      [[...network, "mtu=abc"], /mtu must be a whole number from 0, not "abc"/],
      [[...network, "private=perhaps"], /private must be true or false, not "perhaps"/],
      [[...network, "routes=10.0.0.0/8"], /routes must be a list in JSON/],
      [[...network, "--ipv4", "0.0.0.0/0"], /"0\.0\.0\.0\/0" is not an IPv4 network like/],
      [["network", "create", "mtu=1e99"], /mtu must be/],
      [[...member, "mtu=1400"], /there is no setting "mtu"/],
      [[...member, "--ip", "10.1.2.999"], /"10\.1\.2\.999" is not an address like/],
    ];
    for (const [argv, line] of refusals) {
      const { exit, out, err } = await c(...argv);
      assert.deepEqual([exit, out, err.split("\n").length], [2, "", 2], err);
      assert.match(err, line);
    }
    assert.deepEqual(service.controllerCalls, []);
    await c("member", "set", ID, "a0b1c2d3e4", "name=123", "authorized=true");
    assert.deepEqual(service.controllerCalls, [
      `POST /controller/network/${ID}/member/a0b1c2d3e4 {"authorized":true,"name":"123"}`,
    ]);
  }));

Deno.test("controller commands say that a node is no controller", () =>
  withService(async (service, home) => {
    service.controllerAnswer = { status: 503, json: { description: "this node is no controller" } };
    const said = await zt(["controller", "network", "list", "-D", home]);
    assert.deepEqual([said.exit, said.err], [1, "zt: this node is no controller\n"]);
  }));

Deno.test("id generate makes an identity, in JSON too, and never writes over one", () =>
  inHome(async (home) => {
    const files = [`${home}/identity.secret`, `${home}/identity.public`];
    const made = await zt(["id", "generate", ...files, "--json"]);
    assert.deepEqual([made.exit, JSON.parse(made.out)], [0, { written: files }]);
    const secret = Deno.readTextFileSync(files[0]);
    for (const names of [files, [files[0]], [`${home}/other`, files[1]]]) {
      const again = await zt(["id", "generate", ...names]);
      assert.equal(again.exit, 1);
      assert.match(again.err, /^zt: write .* failed: EEXIST \(move it away first: [^\n]*\)\n$/);
    }
    assert.equal(Deno.readTextFileSync(files[0]), secret);
    assert.deepEqual([...Deno.readDirSync(home)].length, 2);

    const json = async (...argv: string[]) => JSON.parse((await zt(["-j", "id", ...argv])).out);
    const { identity } = await json("public", files[0]);
    assert.equal(identity, Deno.readTextFileSync(files[1]).trim());
    assert.equal((await zt(["id", "public", files[0]])).out, `${identity}\n`);
    const { signature } = await json("sign", files[0], files[1]);
    assert.deepEqual(await json("verify", files[1], files[1], signature), { valid: true });
    assert.deepEqual(await json("validate", files[1]), { valid: true });
    assert.equal((await json("initmoon", files[1])).objtype, "world");
    const failed = await zt(["id", "verify", files[1], files[0], signature]);
    assert.deepEqual([failed.exit, failed.out], [1, ""]);
    assert.match(failed.err, /^zt: .* FAILED[^\n]*\n$/);
  }));

Deno.test("planet use takes a word for what it is: no planet", async () => {
  const { exit, err } = await zt(["planet", "use", "nofile"]);
  assert.equal(exit, 2);
  assert.match(err, /"nofile" is neither a file, a URL nor the text of a planet/);
});

Deno.test("planet create, show and use carry a planet from one home to another", () =>
  inHome(async (home) => {
    const [here, there] = [`${home}/a`, `${home}/b`];
    const created = await zt(["planet", "create", "--endpoint", "203.0.113.7/9993", "-D", here]);
    assert.equal(created.exit, 0, created.err);
    const line = /^zt planet use (\S+)$/m.exec(created.out)!;
    const used = await zt(["planet", "use", line[1], "-D", there]);
    assert.equal(used.exit, 0, used.err);
    assert.deepEqual(Deno.readFileSync(`${there}/planet`), Deno.readFileSync(`${here}/planet`));
    assert.equal((Deno.statSync(`${here}/planet.key`).mode ?? 0) & 0o777, 0o600);
    assert.match((await zt(["planet", "show", "-D", there])).out, / at 203\.0\.113\.7\/9993\n/);
    const again = await zt(["planet", "create", "--endpoint", "203.0.113.8/9993", "-D", here]);
    assert.deepEqual([again.exit, again.out], [1, ""]);
    assert.match(again.err, /makes a planet already; see: zt planet show, or add --replace\n$/);
    // A file with the planet, and one with its text, do as well.
    Deno.writeTextFileSync(`${home}/text`, `${line[1]}\n`);
    for (const source of [`${here}/planet`, `${home}/text`]) {
      assert.equal((await zt(["planet", "use", source, "-D", there])).exit, 0, source);
    }
  }));

Deno.test("planet use on a running service goes through it", () =>
  withService(async (service, home) => {
    const made = await zt([
      "planet",
      "create",
      "--endpoint",
      "203.0.113.7/9993",
      "-D",
      `${home}/other`,
    ]);
    const world = /^zt planet use (\S+)$/m.exec(made.out)![1];
    const refused = await zt(["planet", "use", world, "-D", home]);
    assert.deepEqual([refused.exit, refused.err], [
      1,
      "zt: another planet is in use; add --replace\n",
    ]);
    assert.equal((await zt(["planet", "use", world, "--replace", "-D", home])).exit, 0);
    assert.deepEqual(service.log.map((line) => line.split(" ")[2]), ["false", "true"]);
    assert.throws(() => Deno.statSync(`${home}/planet`));
  }));

Deno.test("rules compiles, checks, formats, explains and tests files", () =>
  inHome(async (home) => {
    const file = `${home}/office.ztrules`;
    Deno.writeTextFileSync(file, "drop not ethertype ipv4;\naccept;\n");
    const compiled = await zt(["rules", "compile", file, "-j"]);
    assert.equal(compiled.exit, 0, compiled.err);
    assert.equal(JSON.parse(compiled.out).config.rules.length, 3);
    assert.equal((await zt(["rules", "check", file])).exit, 0);
    assert.match((await zt(["rules", "format", file])).out, /accept/);
    Deno.writeTextFileSync(`${home}/members`, "member anna ip 10.0.0.4\n");
    const frame = ["tcp", "from", "anna", "to", "10.0.0.5", "port", "22"];
    const explained = await zt([
      "rules",
      "explain",
      file,
      ...frame,
      "--members",
      `${home}/members`,
    ]);
    assert.equal(explained.exit, 0, explained.err);
    assert.match(explained.out, /accept/i);
    Deno.writeTextFileSync(
      `${home}/tests`,
      "expect accept tcp from 10.0.0.4 to 10.0.0.5 port 22\n",
    );
    const tested = await zt(["rules", "test", file, `${home}/tests`]);
    assert.equal(tested.exit, 0, tested.err + tested.out);
    Deno.writeTextFileSync(`${home}/bad`, "acept;\n");
    assert.notEqual((await zt(["rules", "check", `${home}/bad`])).exit, 0);
    const missing = await zt(["rules", "check", `${home}/none`]);
    assert.deepEqual([missing.exit, missing.out], [2, ""]);
    assert.match(missing.err, /none cannot be read/);
  }));
