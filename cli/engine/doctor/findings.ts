/**
 * What the facts mean: one finding a check, with a remedy where something is wrong. Pure: facts in, findings out.
 * @module
 */
import type { DeviceFacts, DoctorFacts, MachineFacts, RootFacts } from "./facts.ts";
import { formatRoundTrip, formatSpan } from "./durations.ts";
import type { ProxyFacts } from "../tcp/proxy_probe.ts";
import { cutText } from "../../../lib/base/cut_text.ts";
import type { NatView } from "../../../lib/node/nat_kind.ts";
import { DEFAULT_PHYSICAL_MTU } from "../../../lib/wire/packet.ts";
import { NAT_WORDS } from "./nat_words.ts";
import type { MappingStatus } from "../port_mapping/mapper.ts";

/**
 * - `ok`: as it should be.
 * - `note`: works, and could be better.
 * - `problem`: something a user will feel.
 * - `unchecked`: could not be looked at.
 */
export type FindingState = "ok" | "note" | "problem" | "unchecked";

/** What one check came to. */
export type Finding = {
  /** What was checked, in a word or two, e.g. "root 778cde7190". */
  check: string;
  state: FindingState;
  /** What is, in one line. */
  text: string;
  /** What to do about it; absent when nothing is wrong. */
  remedy?: string;
};

const FREE_BYTES_MIN = 16 * 1024 * 1024; // a home folder with its logs and caches stays below this
const OPEN_FILES_MIN = 256; // sockets, TAPs, the database and API connections of a busy node
const CLOCK_MOVED_MAX_MS = 60_000; // what a time service corrects at once, rather than slowly
const CLOCK_YEAR_MIN = 2024; // an earlier year is a machine whose clock was never set
const CLOCK_YEAR_MAX = 2100;
/** A datagram of ours with its headers: 1432 bytes of UDP payload. */
const PACKET_BYTES = { ipv4: 1_460, ipv6: 1_480 };
const LOSS_NOTED_FRACTION = 0.1;
const MEGABYTE = 1_048_576;
const UNKNOWN_SHOWN_MAX = 5; // keys of local.conf named in a line...
const KEY_SHOWN_MAX = 40; // ...and bytes of each

/** Everything that can be said of a running service. */
export function diagnose(facts: DoctorFacts): Finding[] {
  return [
    { check: "service", ...serviceFinding(facts) },
    ...diagnoseMachine(facts.machine),
    { check: "clock", ...clockFinding(facts.machine.clockMs, facts.clock) },
    { check: "ports", ...portsFinding(facts) },
    ...facts.roots.map((root) => ({ check: `root ${root.address}`, ...rootFinding(root, facts) })),
    ...facts.moonsAwaited.map(moonFinding),
    { check: "UDP", ...udpFinding(facts) },
    ...proxyFindings(facts),
    { check: "NAT, IPv4", ...natFinding(facts.ipv4, facts, 4) },
    { check: "NAT, IPv6", ...natFinding(facts.ipv6, facts, 6) },
    ...mappingFindings(facts),
    ...facts.devices.map((device) => ({ check: `MTU of ${device.name}`, ...mtuFinding(device) })),
  ];
}

/**
 * What can be said without a service, or about one that does not answer as ours does.
 * @param remedy What to do about it
 */
export function diagnoseWithoutService(
  machine: MachineFacts,
  reason: string,
  remedy: string,
): Finding[] {
  const unchecked = (check: string): Finding => ({
    check,
    state: "unchecked",
    text: "needs a running service",
  });
  return [
    { check: "service", ...problem(reason, remedy) },
    ...diagnoseMachine(machine),
    { check: "clock", ...clockFinding(machine.clockMs, undefined) },
    ...["ports", "roots", "UDP", "NAT", "port mapping", "MTU"].map(unchecked),
  ];
}

type Verdict = Omit<Finding, "check">;

const ok = (text: string): Verdict => ({ state: "ok", text });
const note = (text: string, remedy: string): Verdict => ({ state: "note", text, remedy });
const problem = (text: string, remedy: string): Verdict => ({ state: "problem", text, remedy });

function serviceFinding({ address, version, online, roots }: DoctorFacts): Verdict {
  const who = `zt ${version}, node ${address}`;
  if (online) return ok(`${who}, online`);
  if (roots.length === 0) {
    return problem(
      `${who}, offline: its planet names no root`,
      "use a planet: zt planet use <planet>",
    );
  }
  return problem(`${who}, offline: no root answers`, "see the roots below");
}

function diagnoseMachine(machine: MachineFacts): Finding[] {
  return [
    { check: "permissions", ...permissionFinding(machine) },
    { check: "descriptors", ...descriptorFinding(machine) },
    { check: "home folder", ...homeFinding(machine) },
    { check: "local.conf", ...settingsFinding(machine) },
  ];
}

function permissionFinding({ tun, canAdminNetwork }: MachineFacts): Verdict {
  if (tun === "missing") {
    return problem(
      "/dev/net/tun is missing: no virtual interface can be made",
      "load it with: modprobe tun; give a container the device /dev/net/tun",
    );
  }
  if (tun === "denied") {
    return problem(
      "/dev/net/tun may not be opened: no virtual interface can be made",
      "run the service as root, or give it the device",
    );
  }
  if (!canAdminNetwork) {
    return problem(
      "cap_net_admin is missing: addresses and routes cannot be set",
      "run the service as root; give a container NET_ADMIN",
    );
  }
  return ok("virtual interfaces, addresses and routes can be set");
}

function descriptorFinding({ openFiles, openFilesMax }: MachineFacts): Verdict {
  if (openFilesMax === null) return { state: "unchecked", text: "the system does not say" };
  const text = openFiles === null
    ? `${openFilesMax} allowed`
    : `${openFiles} of ${openFilesMax} in use`;
  const left = openFilesMax - (openFiles ?? 0);
  return left >= OPEN_FILES_MIN
    ? ok(text)
    : problem(text, "allow more: LimitNOFILE=65536 in the systemd unit, or ulimit -n 65536");
}

function homeFinding({ home, homeTrouble, homeFreeBytes }: MachineFacts): Verdict {
  if (homeTrouble !== null) {
    return problem(
      `${home}: ${homeTrouble}`,
      "make it writable for the user of the service, or name another with -D",
    );
  }
  if (homeFreeBytes === null) return ok(`${home} is writable`);
  const free = `${Math.floor(homeFreeBytes / MEGABYTE)} MB free`;
  return homeFreeBytes >= FREE_BYTES_MIN
    ? ok(`${home} is writable, ${free}`)
    : problem(`${home}: its disk is full (${free})`, "make room: what is not stored is lost");
}

function settingsFinding({ settingsTrouble, settingsUnknown }: MachineFacts): Verdict {
  if (settingsTrouble !== null) {
    return problem(
      settingsTrouble,
      "mend it: no service starts with it, and one that runs goes on with what was there before",
    );
  }
  if (settingsUnknown.length === 0) return ok("nothing wrong with it");
  const some = settingsUnknown.slice(0, UNKNOWN_SHOWN_MAX)
    .map((key) => cutText(key, KEY_SHOWN_MAX)).join(", ");
  const more = settingsUnknown.length - UNKNOWN_SHOWN_MAX;
  const shown = some + (more > 0 ? ` and ${more} more` : "");
  return note(
    `${shown}: no effect here`,
    "misspelt? settings of ZeroTier One that zt has no use for may stay",
  );
}

function clockFinding(clockMs: number, clock: DoctorFacts["clock"] | undefined): Verdict {
  const shown = new Date(clockMs).toISOString().replace(/\.\d+Z/, "Z");
  const year = new Date(clockMs).getUTCFullYear();
  const remedy = "set it, e.g. with: timedatectl set-ntp true";
  if (year < CLOCK_YEAR_MIN || year > CLOCK_YEAR_MAX) {
    return problem(`${shown}: that cannot be; certificates of members are judged by it`, remedy);
  }
  if (clock && clockMs < clock.planetMs) {
    return problem(`${shown}: earlier than the planet was signed`, remedy);
  }
  if (clock && Math.abs(clock.movedMs) > CLOCK_MOVED_MAX_MS) {
    const by = `${formatSpan(Math.abs(clock.movedMs))} ${clock.movedMs > 0 ? "forward" : "back"}`;
    return note(`${shown}: it was moved ${by} while the service ran`, "see why, if you did not");
  }
  return ok(shown);
}

function portsFinding({ ports, isUdpForbidden }: DoctorFacts): Verdict {
  if (isUdpForbidden) {
    return note("no UDP: forceTcpRelay is set", "remove forceTcpRelay from local.conf for speed");
  }
  const names = ports.bound.join(", ");
  if (ports.bound.length === 0) {
    const why = ports.refused.length > 0 ? `: ${ports.refused.join("; ")}` : "";
    return problem(
      `no UDP socket is open${why}`,
      "connect a network; look at `bind`, `interfacePrefixBlacklist` and `physical` in local.conf",
    );
  }
  if (ports.refused.length === 0) return ok(names);
  const remedy = "end what uses the port, or set another in local.conf";
  return note(`${names}; not on ${ports.refused.join("; ")}`, remedy);
}

function rootFinding(root: RootFacts, facts: DoctorFacts): Verdict {
  const heard = root.heardMs === null ? "never heard" : `heard ${formatSpan(root.heardMs)} ago`;
  const trip = root.roundTripMs === null ? "" : `, ${formatRoundTrip(root.roundTripMs)}`;
  if (root.link === "tcp") {
    return note(`over TCP at ${root.path}${trip}, ${heard}`, "see UDP below");
  }
  if (root.link === "udp") {
    const { lossFraction } = root;
    const text = `${root.path}${trip}, ${heard}`;
    if (lossFraction !== null && lossFraction >= LOSS_NOTED_FRACTION) {
      const lost = `${Math.round(lossFraction * 100)} % of the last probes lost`;
      return note(`${text}, ${lost}`, "a bad line, or a busy one");
    }
    const bytes = root.datagramBytesMax ?? DEFAULT_PHYSICAL_MTU; // older services do not say
    if (bytes >= DEFAULT_PHYSICAL_MTU) return ok(text);
    return note(
      `${text}, only datagrams of up to ${bytes} bytes get there`,
      "a tunnel or PPPoE on the way takes the rest: ours are made shorter, nothing is to be done",
    );
  }
  const others = facts.roots.some(({ link }) => link !== null);
  const reason = root.reason ?? `it does not answer at ${root.endpoints.join(", ")}`;
  if (!others) {
    const remedy =
      "is it running, is this machine online, does the firewall pass UDP to that port?";
    return problem(`${reason}; ${heard}`, remedy);
  }
  return note(`${reason}; ${heard}`, "others answer; is this one running?");
}

function moonFinding({ id, seed }: DoctorFacts["moonsAwaited"][number]): Finding {
  const remedy = `does ${seed} run, with this moon in its moons.d, and is it in reach? ` +
    `give it up with: zt deorbit ${id.slice(-10)}`;
  return { check: `moon ${id}`, ...note(`asked of ${seed}, which has not sent it yet`, remedy) };
}

function udpFinding({ roots, isUdpForbidden, tcpRelay, httpProxy }: DoctorFacts): Verdict {
  if (isUdpForbidden) return { state: "unchecked", text: "not used: forceTcpRelay is set" };
  if (roots.length === 0) return { state: "unchecked", text: "no root to ask" };
  const count = roots.filter(({ link }) => link === "udp").length;
  if (count > 0) return ok(`${count} of ${roots.length} roots answer over UDP`);
  const through = tcpRelay === null ? "" : `; connected through the TCP relay ${tcpRelay}`;
  const remedy =
    "let UDP out, from port 9993 and to it, in the firewall of this machine and of the network";
  const isStuck = tcpRelay === null && !httpProxy;
  return problem(
    `no root answers over UDP${through}`,
    isStuck
      ? `${remedy}; name an HTTP proxy that is the only way out as settings.httpProxy in local.conf`
      : remedy,
  );
}

const RENAME_PROXY = 'name the right one in settings.httpProxy of local.conf, or "none"';
const PROXY_REMEDIES: Readonly<Record<NonNullable<ProxyFacts["kind"]>, string>> = {
  setting:
    'only http:// proxies are known; name one in settings.httpProxy of local.conf, or "none"',
  unreachable: RENAME_PROXY,
  silent: RENAME_PROXY,
  password: 'in local.conf: "settings": {"httpProxy": "http://user:password@host:port"}',
  refused: "does it allow CONNECT to that port, and does a root offer its relay there?",
  garbage: RENAME_PROXY,
};

/** Only looked at where there is one. It matters where UDP is blocked, and direct connections are. */
function proxyFindings({ httpProxy, roots, tcpRelay }: DoctorFacts): Finding[] {
  if (!httpProxy) return [];
  const check = "HTTP proxy";
  const { address, source, trouble, kind, target } = httpProxy;
  const who = `${address} (from ${source})`;
  if (kind !== null) {
    const isNeeded = tcpRelay === null && !roots.some(({ link }) => link === "udp");
    const judge = isNeeded && kind !== "setting" ? problem : note; // another kind may be there for others
    return [{ check, ...judge(`${who} ${trouble}`, PROXY_REMEDIES[kind]) }];
  }
  if (target === null) return [{ check, ...ok(`${who} is not asked: no relay lies behind it`) }];
  return [{ check, ...ok(`${who} leads to ${target}; it is used where UDP is blocked`) }];
}

function natFinding(view: NatView, facts: DoctorFacts, family: 4 | 6): Verdict {
  const ofFamily = (address: string) => address.includes(":") === (family === 6);
  if (!facts.ports.bound.some(ofFamily)) return ok("no socket of ours uses it");
  if (view.kind === "unknown") {
    const asked = facts.roots.some(({ endpoints }) => endpoints.some(ofFamily));
    const why = asked ? "no root answered over it" : "no root has an address of this family";
    return { state: "unchecked", text: `unknown: ${why}` };
  }
  const text = `${NAT_WORDS[view.kind]}; seen as ${view.surfaces.join(", ")}`;
  if (view.kind !== "symmetric") return ok(text);
  const isMapped = facts.portMapping.ports.some(({ external }) => external !== null);
  return isMapped ? ok(`${text}; a mapped port makes up for it`) : note(
    text,
    "peers behind such a NAT too are only reached by relay, others after some seconds: allow UPnP, NAT-PMP or PCP in the router, " +
      "forward a UDP port, or use IPv6",
  );
}

function mappingFindings({ portMapping, ipv4 }: DoctorFacts): Finding[] {
  const check = "port mapping";
  if (!portMapping.enabled) {
    const verdict = ipv4.kind === "symmetric"
      ? note("off", "set portMappingEnabled in local.conf: the NAT is a hard one")
      : ok("off, as local.conf says");
    return [{ check, ...verdict }];
  }
  if (portMapping.ports.length === 0) {
    return [{ check, ...ok("not needed: no private address with a gateway before it") }];
  }
  return portMapping.ports.map((port) => ({ check, ...mappingFinding(port, ipv4) }));
}

function mappingFinding(port: MappingStatus, ipv4: NatView): Verdict {
  const { internal, external, protocol, gateway, trials, nextTryMs } = port;
  if (external !== null) {
    const text = `${internal} is reached at ${external} (${protocol})`;
    const outer = ipv4.surfaces.map(ipOf);
    const isPrivate =
      /^(10|192\.168|172\.(1[6-9]|2\d|3[01])|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\./
        .test(external);
    if (!external.includes(":") && isPrivate && !outer.includes(ipOf(external))) {
      return note(
        `${text}, which is a private address: there is another NAT behind ${gateway}`,
        "set the inner router to bridge mode, or ask the provider for a public address or IPv6",
      );
    }
    return ok(text);
  }
  if (port.pending) return { state: "unchecked", text: `${gateway} is still being asked` };
  const refusals = trials.filter(({ result }) => result === "refused");
  const again = `tried again in ${formatSpan(nextTryMs)}`;
  const isNeeded = ipv4.kind === "symmetric" || ipv4.kind === "unknown";
  const remedy = "allow UPnP, NAT-PMP or PCP in the router, or forward a UDP port by hand";
  const text = refusals.length > 0
    ? `${gateway} refuses: ${
      refusals.map(({ protocol, reason }) => `${protocol}: ${reason}`).join("; ")
    }; ${again}`
    : `${gateway} offers none; ${again}`;
  return isNeeded ? note(text, remedy) : ok(`${text}; not needed for direct paths`);
}

function ipOf(endpoint: string): string {
  return endpoint.slice(0, endpoint.lastIndexOf("/"));
}

function mtuFinding({ mtu, running, addresses }: DeviceFacts): Verdict {
  if (!running) return note(`${mtu} bytes, and no cable`, "plug it in");
  const needed = addresses.some((address) => address.includes(":"))
    ? PACKET_BYTES.ipv6
    : PACKET_BYTES.ipv4;
  return mtu >= needed ? ok(`${mtu} bytes`) : note(
    `${mtu} bytes, less than our packets of ${needed}`,
    "raise it, or packets are cut in two",
  );
}
