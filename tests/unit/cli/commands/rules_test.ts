import { deepEqual, equal, match } from "node:assert/strict";
import {
  rulesCheck,
  rulesCompile,
  rulesExplain,
  rulesFormat,
  type RulesOutput,
  rulesTest,
} from "../../../../cli/commands/rules.ts";

const text = { json: false };
const json = { json: true };
const office = {
  name: "office.rules",
  text: `# Only IP and ARP
drop not ethertype ipv4 and not ethertype arp and not ethertype ipv6;
tag role
  id 1
  enum 0 guest
  enum 1 staff
  default guest
;
cap ssh
  id 2
  accept ipprotocol tcp and dport 22;
;
drop not chr ipauth;
tee -1 0bbb823280 dport 25;
redirect 0bbb823280 dport 8080;
accept treq role staff and tseq role staff;
break chr tcp_syn and not chr tcp_ack;
accept;
`,
};

Deno.test("rulesCompile() prints what the controller takes, pretty or in one line", () => {
  const { exitCode, out, err } = rulesCompile(office, json);
  equal(exitCode, 0);
  equal(err, "");
  const { config, capabilitiesByName, tagsByName } = JSON.parse(out);
  deepEqual([config.capabilities.length, capabilitiesByName, tagsByName], [1, { ssh: 2 }, {
    role: 1,
  }]);
  deepEqual(config.tags, [{ id: 1, default: 0 }]);
  deepEqual(JSON.parse(rulesCompile(office, text).out), JSON.parse(out));
});

Deno.test("rulesCompile() shows an error with its line and a caret, exit code 1", () => {
  const bad = { name: "bad.rules", text: "drop ethertype arp;\naccept dport x;\n" };
  const { exitCode, out, err } = rulesCompile(bad, text);
  deepEqual([exitCode, out], [1, ""]);
  match(err, /^bad\.rules:2:14: error: .*\n {2}2 \| accept dport x;\n.*\^\n {2}expected .*\n$/);
  deepEqual(JSON.parse(rulesCompile(bad, json).out).error.column, 14);
});

Deno.test("rulesCheck() counts and warns", () => {
  const { exitCode, out, err } = rulesCheck({ name: "x", text: "accept or dport 22;" }, text);
  deepEqual([exitCode, out], [0, "x: 2 rules, 0 capabilities, 0 tags\n"]);
  match(err, /^x:1:11: warning: /);
  const report = JSON.parse(rulesCheck(office, json).out);
  deepEqual({ ...report, warnings: report.warnings.length }, {
    ok: true,
    rules: 17,
    capabilities: 1,
    tags: 1,
    warnings: 0,
  });
});

Deno.test("rulesFormat() lays out a source, and turns JSON into one", () => {
  equal(rulesFormat({ name: "x", text: "accept   dport\n22;" }, text).out, "accept dport 22;\n");
  const compiled = rulesCompile(office, json).out;
  const source = rulesFormat({ name: "x.json", text: compiled }, text).out;
  equal(rulesCompile({ name: "y", text: source }, json).out, compiled);
  equal(JSON.parse(rulesFormat({ name: "x", text: "drop;" }, json).out).source, "drop;\n");
});

Deno.test("rulesFormat() refuses JSON that holds no rules, or such as cannot be written", () => {
  for (const bad of ["{", "{}", '[{"type":"MATCH_FOO"}]', '[{"type":"MATCH_ETHERTYPE"}]']) {
    const { exitCode, err } = rulesFormat({ name: "x.json", text: bad }, text);
    equal(exitCode, 1, bad);
    match(err, /^error: x\.json: /);
  }
});

Deno.test("rulesExplain() names the rule that decided and what the others answered", () => {
  const { exitCode, out } = rulesExplain(
    office,
    "tcp from tag:guest to 10.0.0.5 port 22",
    undefined,
    text,
  );
  equal(exitCode, 0);
  equal(
    out.split("\n")[0],
    "drop: sender 1000000001 drops it (line 17: break, and no capability accepts it)",
  );
  match(out, /line 16 +treq role staff +no: the receiver's tag 1 is 0, the set fails|tag 1 is 0/);
  const granted = rulesExplain(office, "tcp from cap:ssh to 10.0.0.5 port 22", undefined, json);
  const explained = JSON.parse(granted.out);
  equal(explained.verdict, "accept");
  deepEqual(
    explained.decisions[0].lists.map(({ list, result }: { list: string; result: string }) => [
      list,
      result,
    ]),
    [["network rules", "no match"], ["capability ssh", "accept"]],
  );
});

Deno.test("rulesExplain() takes members from a file, and rules from JSON", () => {
  const members = { name: "m", text: "member printer ip 10.0.0.5 tag role 1\n" };
  const compiled = { name: "j", text: rulesCompile(office, json).out };
  const { out } = rulesExplain(compiled, "tcp from tag:role=1 to 10.0.0.5 port 631", members, text);
  match(
    out,
    /^accept: sender 1000000002 sends it \(rule \d+: accept\), printer takes it \(rule \d+/,
  );
});

const tests = (lines: string) => ({ name: "t", text: lines });

function passes(output: RulesOutput): void {
  equal(output.exitCode, 0, output.out + output.err);
}

Deno.test("rulesTest() runs expectations on verdicts, copies and spoofed addresses", () => {
  passes(rulesTest(
    office,
    tests(`
    member boss ip 10.0.0.1 ip fd00::1 tag role staff
    member printer address 1122334455 ip 10.0.0.5 tag role staff
    expect drop   tcp from tag:guest to 10.0.0.5 port 22    # the issue's example
    expect accept tcp from tag:guest cap:ssh to 10.0.0.5 port 22
    expect accept tcp from boss to printer port 22
    expect accept tcp from boss to anyone port 22 ack
    expect drop   tcp from boss as 10.0.0.9 to printer port 631
    expect accept udp from anyone to printer
    expect accept arp from boss to printer
    expect accept arp from boss to broadcast
    expect accept icmp6 from boss to anyone
    expect accept icmp from boss to printer type 8
    expect drop   ethertype wol from boss to printer
    expect tee 0bbb823280 tcp from boss to printer port 25
    expect redirect 0bbb823280 tcp from boss to printer port 8080
    expect accept ipprotocol 47 from 1122334466 to printer tos 8 size 900
    `),
    text,
  ));
});

Deno.test("rulesTest() reports failures with the line, what happened and why, exit code 1", () => {
  const { exitCode, out } = rulesTest(
    office,
    tests("expect accept udp from anyone to anyone\nexpect drop udp from anyone to anyone\n"),
    text,
  );
  equal(exitCode, 1);
  match(out, /^t:2: FAILED: expect drop udp from anyone to anyone\n {2}accept: .*line 18: accept/);
  match(out, /1 passed, 1 failed\n$/);
  const report = JSON.parse(
    rulesTest(office, tests("expect drop udp from anyone to anyone"), json).out,
  );
  deepEqual([report.passed, report.failed, report.results[0].line], [0, 1, 1]);
});

Deno.test("rulesTest() fails an expectation that hangs on chance", () => {
  const dice = { name: "dice", text: "accept random 0.5;" };
  for (const verdict of ["accept", "drop"]) {
    const { exitCode, out } = rulesTest(
      dice,
      tests(`expect ${verdict} udp from anyone to anyone`),
      text,
    );
    equal(exitCode, 1);
    match(out, /by chance/);
  }
});

Deno.test("rulesTest() refuses a test file that makes no sense, exit code 2", () => {
  const mistakes: [string, RegExp][] = [
    ["expect", /ends too early/],
    ["expect maybe udp from anyone to anyone", /cannot be expected/],
    ["suppose x", /not a statement/],
    ["expect drop udp from anyone", /from somebody to somebody/],
    ["expect drop udp from to anyone", /nobody is named/],
    ["expect drop udp form anyone to anyone", /expected "from"/],
    ["expect drop udp from bos to anyone", /nobody is called "bos"/],
    ["expect drop udp from tag:gest to anyone", /no tag has a value "gest"/],
    ["expect drop udp from tag:role=gest to anyone", /not a value of this tag/],
    ["expect drop udp from cap:shh to anyone", /no capability "shh"/],
    ["expect drop udp from anyone to anyone port 70000", /not such a number/],
    ["expect drop udp from 10.0.0.1 to fd00::1", /mixes IPv4 and IPv6/],
    ["expect drop udp port 5 from anyone to anyone", /belongs to nobody/],
    ["member a ip x", /not an IP address/],
    ["member a\nmember a", /cannot name another member/],
    ["expect tee nobody udp from anyone to anyone", /no member/],
    ["# nothing", /no expectation/],
  ];
  for (const [lines, expected] of mistakes) {
    const { exitCode, err } = rulesTest(office, tests(lines), text);
    equal(exitCode, 2, lines);
    match(err, expected, lines);
  }
});
