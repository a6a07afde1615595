import assert from "node:assert/strict";
import type {
  DoctorFacts,
  MachineFacts,
  RootFacts,
} from "../../../../../cli/engine/doctor/facts.ts";
import {
  diagnose,
  diagnoseWithoutService,
  type Finding,
} from "../../../../../cli/engine/doctor/findings.ts";
import { findingsText } from "../../../../../cli/engine/doctor/text.ts";
import type { MappingStatus } from "../../../../../cli/engine/port_mapping/mapper.ts";

const MACHINE: MachineFacts = {
  tun: "ok",
  canAdminNetwork: true,
  userId: 0,
  openFiles: 45,
  openFilesMax: 20_000,
  home: "/var/lib/zt",
  homeTrouble: null,
  homeFreeBytes: 1_000_000_000,
  settingsTrouble: null,
  settingsUnknown: [],
  clockMs: 1_790_000_000_000,
};
const ROOT: RootFacts = {
  address: "1111111111",
  role: "PLANET",
  endpoints: ["44.0.0.1/9993"],
  link: "udp",
  path: "44.0.0.1/9993",
  roundTripMs: 12.3,
  lossFraction: 0,
  datagramBytesMax: 1_432,
  heardMs: 150,
  reason: null,
};
const SILENT: RootFacts = {
  ...ROOT,
  address: "2222222222",
  link: null,
  path: null,
  roundTripMs: null,
  lossFraction: null,
  datagramBytesMax: null,
  heardMs: null,
  reason: "this root does not answer at 44.0.0.2/9993",
};
const MAPPED: MappingStatus = {
  gateway: "192.168.1.1",
  internal: "192.168.1.2/31000",
  external: "44.9.9.9/31000",
  protocol: "pcp",
  pending: false,
  trials: [{ protocol: "pcp", result: "mapped" }],
  nextTryMs: 300_000,
};
const UNMAPPED: MappingStatus = {
  ...MAPPED,
  external: null,
  protocol: null,
  trials: [
    { protocol: "pcp", result: "refused", reason: "not authorized" },
    { protocol: "nat-pmp", result: "silent" },
  ],
  nextTryMs: 20_000,
};
const NAT = { surfaces: ["44.9.9.9/1"], witnesses: 2 };
/** A node at home, all well. */
const HEALTHY: DoctorFacts = {
  address: "a1b2c3d4e5",
  version: "0.1.0",
  online: true,
  machine: MACHINE,
  ports: {
    primary: 9993,
    secondary: 30_000,
    tertiary: 31_000,
    bound: ["192.168.1.2/9993", "2a00::2/9993"],
    refused: [],
  },
  isUdpForbidden: false,
  tcpRelay: null,
  httpProxy: null,
  ipv4: { kind: "endpoint-independent", ...NAT },
  ipv6: { kind: "none", surfaces: ["2a00::2/9993"], witnesses: 1 },
  roots: [ROOT],
  moonsAwaited: [],
  portMapping: { enabled: true, ports: [MAPPED] },
  devices: [{ name: "eth0", mtu: 1_500, running: true, addresses: ["192.168.1.2/24"] }],
  clock: { movedMs: 4, planetMs: 1_700_000_000_000 },
};

/** The finding of one check when these facts are changed; everything else must stay as it was. */
function finding(check: string, changes: Partial<DoctorFacts>): Finding {
  const found = diagnose({ ...HEALTHY, ...changes }).find((one) => one.check === check);
  assert.ok(found, check);
  return found;
}

function machineFinding(check: string, changes: Partial<MachineFacts>): Finding {
  return finding(check, { machine: { ...MACHINE, ...changes } });
}

Deno.test("diagnose() finds nothing wrong with a node that is well", () => {
  const findings = diagnose(HEALTHY);
  assert.deepEqual(findings.filter(({ state }) => state !== "ok"), []);
  assert.deepEqual(findings.map(({ check }) => check), [
    "service",
    "permissions",
    "descriptors",
    "home folder",
    "local.conf",
    "clock",
    "ports",
    "root 1111111111",
    "UDP",
    "NAT, IPv4",
    "NAT, IPv6",
    "port mapping",
    "MTU of eth0",
  ]);
});

Deno.test("diagnose() gives a remedy with every problem and note", () => {
  const bad: DoctorFacts = {
    ...HEALTHY,
    online: false,
    machine: {
      ...MACHINE,
      tun: "denied",
      openFilesMax: 64,
      homeTrouble: "cannot write",
      settingsTrouble: "local.conf is not JSON",
      clockMs: 0,
    },
    ports: { ...HEALTHY.ports, refused: ["192.168.1.2/30000: taken"] },
    ipv4: { kind: "symmetric", ...NAT },
    roots: [SILENT],
    moonsAwaited: [{ id: "0000003333333333", seed: "3333333333" }],
    portMapping: { enabled: true, ports: [UNMAPPED] },
    devices: [{ name: "eth0", mtu: 1_280, running: true, addresses: ["192.168.1.2/24"] }],
  };
  const findings = diagnose(bad);
  const wrong = findings.filter(({ state }) => state === "problem" || state === "note");
  assert.equal(wrong.length, 13);
  for (const { check, remedy } of wrong) assert.ok(remedy, check);
  for (const { state, remedy } of findings) if (state === "ok") assert.equal(remedy, undefined);
});

Deno.test("diagnose() judges permissions, descriptors and the home folder", () => {
  assert.match(machineFinding("permissions", { tun: "missing" }).text, /is missing/);
  assert.match(machineFinding("permissions", { tun: "denied" }).remedy!, /as root/);
  const admin = machineFinding("permissions", { canAdminNetwork: false });
  assert.deepEqual([admin.state, admin.text.split(" ")[0]], ["problem", "cap_net_admin"]);
  assert.equal(machineFinding("descriptors", { openFiles: 19_990 }).state, "problem");
  assert.equal(machineFinding("descriptors", { openFilesMax: null }).state, "unchecked");
  assert.equal(machineFinding("home folder", { homeTrouble: "read-only" }).state, "problem");
  assert.equal(machineFinding("home folder", { homeFreeBytes: 1_000 }).state, "problem");
  assert.equal(machineFinding("home folder", { homeFreeBytes: null }).state, "ok");
});

Deno.test("diagnose() says what is wrong with local.conf, and which of its keys have no effect", () => {
  const broken = machineFinding("local.conf", {
    settingsTrouble: "local.conf: bind must be a list",
  });
  assert.deepEqual([broken.state, broken.text], ["problem", "local.conf: bind must be a list"]);
  const settingsUnknown = ["a", "b", "c", "d", "e", "f", "g"].map((key) => `settings.${key}`);
  const unknown = machineFinding("local.conf", { settingsUnknown });
  assert.equal(unknown.state, "note");
  assert.match(unknown.text, /^settings\.a, .* settings\.e and 2 more: no effect here$/);
});

Deno.test("diagnose() judges the clock by the year, the planet and its jumps", () => {
  assert.equal(machineFinding("clock", { clockMs: 1_000_000 }).state, "problem");
  const early = finding("clock", { clock: { movedMs: 0, planetMs: MACHINE.clockMs + 1 } });
  assert.match(early.text, /earlier than the planet was signed$/);
  const moved = finding("clock", { clock: { movedMs: -7_200_000, planetMs: 0 } });
  assert.deepEqual([moved.state, / moved 2 h back/.test(moved.text)], ["note", true]);
});

Deno.test("diagnose() judges ports, roots and UDP", () => {
  const none = { ...HEALTHY.ports, bound: [], refused: ["10.0.0.1/9993: taken"] };
  assert.match(finding("ports", { ports: none }).text, /no UDP socket is open: 10.0.0.1\/9993/);
  assert.equal(finding("ports", { isUdpForbidden: true }).state, "note");
  assert.equal(
    finding("root 1111111111", {}).text,
    "44.0.0.1/9993, 12 ms, heard 0 s ago",
  );
  const lossy = finding("root 1111111111", { roots: [{ ...ROOT, lossFraction: 0.25 }] });
  assert.match(lossy.text, /25 % of the last probes lost$/);
  const short = finding("root 1111111111", { roots: [{ ...ROOT, datagramBytesMax: 1_392 }] });
  assert.equal(short.state, "note");
  assert.match(short.text, /only datagrams of up to 1392 bytes/);
  const unmeasured = { roots: [{ ...ROOT, datagramBytesMax: null }] };
  assert.equal(finding("root 1111111111", unmeasured).state, "ok");
  const half = finding("root 2222222222", { roots: [ROOT, SILENT] });
  assert.deepEqual([half.state, half.text], [
    "note",
    "this root does not answer at 44.0.0.2/9993; never heard",
  ]);
  assert.equal(finding("root 2222222222", { roots: [SILENT] }).state, "problem");
  assert.equal(finding("UDP", { roots: [ROOT, SILENT] }).text, "1 of 2 roots answer over UDP");
  const tcp = { roots: [{ ...ROOT, link: "tcp" as const }], tcpRelay: "44.0.0.1/443 (tls)" };
  const blocked = finding("UDP", tcp);
  assert.equal(blocked.state, "problem");
  assert.match(blocked.text, /through the TCP relay 44.0.0.1\/443 \(tls\)$/);
  assert.equal(finding("root 1111111111", tcp).state, "note");
});

Deno.test("diagnose() names a moon that is waited for, and its seed", () => {
  const moonsAwaited = [{ id: "0000003333333333", seed: "3333333333" }];
  const { state, text, remedy } = finding("moon 0000003333333333", { moonsAwaited });
  assert.deepEqual([state, text], ["note", "asked of 3333333333, which has not sent it yet"]);
  assert.match(remedy!, /zt deorbit 3333333333$/);
});

Deno.test("diagnose() judges an HTTP proxy by whether it is needed", () => {
  const proxy = {
    address: "proxy:3128",
    source: "https_proxy",
    trouble: null,
    target: "44.0.0.1/443",
  };
  const passes = finding("HTTP proxy", { httpProxy: { ...proxy, kind: null } });
  assert.deepEqual([passes.state, passes.text], [
    "ok",
    "proxy:3128 (from https_proxy) leads to 44.0.0.1/443; it is used where UDP is blocked",
  ]);
  const idle = finding("HTTP proxy", { httpProxy: { ...proxy, kind: null, target: null } });
  assert.equal(idle.state, "ok");
  const trouble = "asks for a user and a password (407)";
  const httpProxy = { ...proxy, kind: "password" as const, trouble };
  const spare = finding("HTTP proxy", { httpProxy });
  assert.deepEqual([spare.state, spare.text], ["note", `proxy:3128 (from https_proxy) ${trouble}`]);
  assert.match(spare.remedy!, /"http:\/\/user:password@host:port"/);
  assert.equal(finding("HTTP proxy", { httpProxy, roots: [SILENT] }).state, "problem");
  const socks = { ...httpProxy, kind: "setting" as const };
  assert.equal(finding("HTTP proxy", { httpProxy: socks, roots: [SILENT] }).state, "note");
  const hint = /settings\.httpProxy in local\.conf$/;
  assert.match(finding("UDP", { roots: [SILENT] }).remedy!, hint);
  assert.doesNotMatch(finding("UDP", { httpProxy, roots: [SILENT] }).remedy!, hint);
  const tcp = { httpProxy, roots: [SILENT], tcpRelay: "44.0.0.1/443 (websocket)" };
  assert.equal(finding("HTTP proxy", tcp).state, "note");
});

Deno.test("diagnose() judges NATs together with port mappings", () => {
  const symmetric = { kind: "symmetric" as const, ...NAT };
  const unmapped = { enabled: true, ports: [UNMAPPED] };
  assert.equal(finding("NAT, IPv4", { ipv4: symmetric }).state, "ok", "a mapping makes up for it");
  assert.equal(finding("NAT, IPv4", { ipv4: symmetric, portMapping: unmapped }).state, "note");
  const refused = finding("port mapping", { ipv4: symmetric, portMapping: unmapped });
  assert.equal(refused.state, "note");
  assert.equal(refused.text, "192.168.1.1 refuses: pcp: not authorized; tried again in 20 s");
  assert.equal(finding("port mapping", { portMapping: unmapped }).state, "ok", "not needed");
  const off = { enabled: false, ports: [] };
  assert.equal(finding("port mapping", { portMapping: off }).state, "ok");
  assert.equal(finding("port mapping", { portMapping: off, ipv4: symmetric }).state, "note");
  const nested = { enabled: true, ports: [{ ...MAPPED, external: "10.0.0.7/31000" }] };
  assert.match(finding("port mapping", { portMapping: nested }).text, /another NAT behind/);
  const pending = { enabled: true, ports: [{ ...UNMAPPED, pending: true }] };
  assert.equal(finding("port mapping", { portMapping: pending }).state, "unchecked");
  const unknown = { kind: "unknown" as const, surfaces: [], witnesses: 0 };
  assert.match(finding("NAT, IPv6", { ipv6: unknown }).text, /no root has an address of this/);
  assert.match(finding("NAT, IPv4", { ipv4: unknown }).text, /no root answered over it/);
});

Deno.test("diagnoseWithoutService() says what it could not look at", () => {
  const findings = diagnoseWithoutService(MACHINE, "none runs", "start it");
  assert.deepEqual(findings[0], {
    check: "service",
    state: "problem",
    text: "none runs",
    remedy: "start it",
  });
  assert.equal(findings.filter(({ state }) => state === "unchecked").length, 6);
  assert.equal(findings.filter(({ state }) => state === "ok").length, 5);
});

Deno.test("findingsText() aligns columns, puts remedies below, and sums up", () => {
  const findings: Finding[] = [
    { check: "a", state: "ok", text: "fine" },
    { check: "long", state: "problem", text: "broken", remedy: "mend it" },
    { check: "b", state: "unchecked", text: "dark" },
  ];
  assert.equal(
    findingsText(findings),
    "ok       a     fine\nPROBLEM  long  broken\n               -> mend it\n?        b     dark\n\n" +
      "1 problem, 1 not checked\n",
  );
  assert.match(findingsText(findings.slice(0, 1)), /\nno problems found\n$/);
});
