/**
 * `zerotier-cli`, word for word: for scripts that were written for the reference. Reached when the program is called by
 * that name, as `zt zerotier-cli ...`, and for the reference's words `zt` has no better form of.
 *
 * Source: spec 06 section 5.
 * @module
 */
import { parseAddress } from "../../lib/base/ids.ts";
import { ApiClient, type ApiReply } from "../api/client.ts";
import type { NetworkInfo, PeerInfo, StatusInfo } from "../api/view.ts";
import type { Io } from "../command.ts";
import { Home } from "../engine/home.ts";
import { readPort, readToken } from "../engine/home_files.ts";
import { formatJson, isObject, type Json, type JsonObject, parseJson } from "../engine/json.ts";
import { ANNOUNCED_VERSION } from "../engine/version.ts";
import { type CompatSwitches, parseCompatSwitches } from "./compat_switches.ts";
import {
  bondText,
  dumpText,
  findNetwork,
  infoText,
  type InterfaceInfo,
  listBondsText,
  listNetworksText,
  listPeersText,
  peersText,
  propertyText,
} from "./compat_text.ts";

/** What the outside looks like to the command. */
export interface CompatEnvironment {
  io: Io;
  /** How the program was called: begins its error lines. */
  argv0: string;
  /** Home folder when no switch names one. */
  defaultHome: string;
  /** The user's own copy of a token, when the home folder's cannot be read. */
  userToken: () => string | undefined;
  nowMs: () => number;
  interfaces: () => InterfaceInfo[];
  /** Writes into the current folder. @returns the full path */
  writeFile: (name: string, content: string) => string;
}

/** One call under way. */
interface CompatCall {
  client: ApiClient;
  home: Home;
  switches: CompatSwitches;
  environment: CompatEnvironment;
  /** The first three words; the third is overwritten by later ones. */
  words: [command: string, first: string, second: string];
}

type CompatCommand = (call: CompatCall) => Promise<number>;

const FAILED = 1;
const BAD_USAGE = 2;
const NETWORK_ID_LENGTH = 16;
/** What `set` knows. */
export const SETTINGS: ReadonlySet<string> = new Set([
  "allowManaged",
  "allowGlobal",
  "allowDefault",
  "allowDNS",
]);

const COMMANDS: Record<string, CompatCommand> = {
  info,
  status: info,
  listpeers: (call) =>
    show(call, "/peer", (peers) => listPeersText(peers as PeerInfo[], call.environment.nowMs())),
  peers: (call) =>
    show(call, "/peer", (peers) => peersText(peers as PeerInfo[], call.environment.nowMs())),
  listnetworks: (call) =>
    show(
      call,
      "/network",
      (networks) => listNetworksText(networks as NetworkInfo[], call.environment.nowMs()),
    ),
  listmoons: (call) => show(call, "/moon", (moons) => `${formatJson(moons, 1)}\n`),
  listbonds,
  join: (call) => joinOrLeave(call, "POST"),
  leave: (call) => joinOrLeave(call, "DELETE"),
  set: setProperty,
  get: getProperty,
  orbit,
  deorbit,
  dump,
  bond,
};

/**
 * Runs `zerotier-cli` with its arguments.
 * @returns the exit code
 */
export function runZerotierCli(argv: string[], environment: CompatEnvironment): Promise<number> {
  const { io, argv0 } = environment;
  const switches = parseCompatSwitches(argv);
  if ("print" in switches) {
    io.out(switches.print === "version" ? `${ANNOUNCED_VERSION.text}\n` : compatHelp(argv0));
    return Promise.resolve(switches.exit);
  }
  if (switches.words.length === 0) {
    io.err(compatHelp(argv0));
    return Promise.resolve(0);
  }
  return dispatch(switches, environment);
}

async function dispatch(
  switches: CompatSwitches,
  environment: CompatEnvironment,
): Promise<number> {
  const { io, argv0 } = environment;
  const home = new Home(switches.home ?? environment.defaultHome);
  const port = switches.port ?? quietly(() => readPort(home));
  if (port === undefined) {
    io.err(`${argv0}: missing port and zerotier-one.port not found in ${home.path}\n`);
    return BAD_USAGE;
  }
  const token = switches.token ?? quietly(() => readToken(home, "authtoken.secret")) ??
    environment.userToken();
  if (token === undefined) {
    io.err(
      `${argv0}: authtoken.secret not found or readable in ${home.path} (try again as root)\n`,
    );
    return BAD_USAGE;
  }
  const client = new ApiClient({ host: switches.host, port, token });
  const [command, first = ""] = switches.words;
  const second = switches.words.length > 2 ? switches.words.at(-1)! : "";
  const call: CompatCall = { client, home, switches, environment, words: [command, first, second] };
  if (command.startsWith("/")) return await raw(call);
  const run = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined;
  if (run) return await run(call);
  io.err(compatHelp(argv0));
  return 0;
}

/** A file that cannot be read is as good as none: the line printed then says so. */
function quietly<T>(read: () => T | undefined): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Help of the personality, in our words. */
function compatHelp(argv0: string): string {
  return `Usage: ${argv0} [-switches] <command|/path> [<args>]

Speaks to a running service, as the reference's zerotier-cli does. Try "zt help" for more comfort.

  -h  help    -v  version    -j  JSON    -D<home>    -p<port>    -T<token>

  info | status                     what this node is
  listpeers | peers                 other nodes it talks to
  listnetworks                      networks joined
  join | leave <network>            16 hexadecimal digits
  get <network> <property>          also: ip ip4 ip6 ip6plane ip6prefix
  set <network> <property>=<0|1>    allowManaged allowGlobal allowDefault allowDNS
  listmoons | orbit <id> <seed> | deorbit <id>
  listbonds | bond list | bond <peer> show|rotate | bond setmtu <mtu> <interface> <ip>
  dump                              write zerotier_dump.txt for support
`;
}

/** The general form of a refusal: status, command, body. */
function refuse({ environment, words }: CompatCall, reply: ApiReply): number {
  environment.io.out(`${reply.status} ${words[0]} ${reply.text}\n`);
  return FAILED;
}

/** The form of the commands that read: they explain a failed connection. */
function refuseReading(call: CompatCall, reply: ApiReply): number {
  if (reply.status !== 0) return refuse(call, reply);
  return explainConnection(call, reply);
}

/** Quirk kept: it names port 9993 whatever the port was. */
function explainConnection({ environment }: CompatCall, reply: ApiReply): number {
  environment.io.out(
    `Error connecting to the ZeroTier service: ${reply.text}\n\n` +
      "Please check that the service is running and that TCP port 9993 can be contacted via 127.0.0.1.\n",
  );
  return FAILED;
}

/** A GET whose answer is printed as text, or with -j as JSON. */
async function show(
  call: CompatCall,
  path: string,
  render: (value: Json) => string,
): Promise<number> {
  const { io } = call.environment;
  const reply = await call.client.send("GET", path);
  if (reply.status !== 200) return refuseReading(call, reply);
  const value = quietly(() => parseJson(reply.text));
  if (value === undefined) {
    io.out(`${reply.status} ${call.words[0]} invalid JSON response\n`);
    return FAILED;
  }
  io.out(call.switches.json ? `${formatJson(value, 1)}\n` : render(value));
  return 0;
}

function info(call: CompatCall): Promise<number> {
  return show(call, "/status", (status) => infoText(status as StatusInfo));
}

function listbonds(call: CompatCall): Promise<number> {
  return show(call, "/peer", (peers) => listBondsText(peers as JsonObject[]));
}

async function joinOrLeave(call: CompatCall, method: "POST" | "DELETE"): Promise<number> {
  const [command, id] = call.words;
  const { io } = call.environment;
  if (id.length !== NETWORK_ID_LENGTH) {
    io.out("invalid network id\n");
    return BAD_USAGE;
  }
  const body = method === "POST" ? "{}" : undefined;
  const reply = await call.client.send(method, `/network/${encodeURIComponent(id)}`, body);
  if (reply.status !== 200) return refuse(call, reply);
  io.out(call.switches.json ? reply.text : `200 ${command} OK\n`);
  return 0;
}

/** @returns undefined when both words are there and the first is as long as a network id */
function missingWord({ environment, words }: CompatCall): number | undefined {
  const [command, id, property] = words;
  const reason = id.length !== NETWORK_ID_LENGTH
    ? "must be a 16-digit (network) ID"
    : property === ""
    ? `include a property name to ${command}`
    : undefined;
  if (reason === undefined) return undefined;
  environment.io.err(`invalid format: ${reason}\n`);
  return BAD_USAGE;
}

/** Quirk kept: setting something on a network that is not joined joins it. */
async function setProperty(call: CompatCall): Promise<number> {
  const bad = missingWord(call);
  if (bad !== undefined) return bad;
  const { io, argv0 } = call.environment;
  const [, id, assignment] = call.words;
  const at = assignment.indexOf("=");
  if (at < 0) {
    io.err(compatHelp(argv0));
    return BAD_USAGE;
  }
  const key = assignment.slice(0, at);
  if (!SETTINGS.has(key)) return 0;
  const body = formatJson({ [key]: /^[t1]/.test(assignment.slice(at + 1)) });
  const reply = await call.client.send("POST", `/network/${encodeURIComponent(id)}`, body);
  if (reply.status !== 200) return refuse(call, reply);
  io.out(reply.text);
  return 0;
}

async function getProperty(call: CompatCall): Promise<number> {
  const bad = missingWord(call);
  if (bad !== undefined) return bad;
  const { io } = call.environment;
  const [, id, property] = call.words;
  const unknown = "unknown network ID, check that you are a member of the network\n";
  const reply = await call.client.send("GET", "/network");
  if (reply.status !== 200) {
    if (reply.status !== 0) io.err(unknown);
    return refuseReading(call, reply);
  }
  const network = findNetwork(quietly(() => parseJson(reply.text)) ?? null, id);
  if (network) io.out(propertyText(network, property));
  else io.err(unknown);
  return 0;
}

/** Missing or zero arguments do nothing at all, as in the reference. */
async function orbit(call: CompatCall): Promise<number> {
  const [, id, seed] = call.words;
  const isZero = (word: string) => !/^[0-9a-fA-F]*[1-9a-fA-F]/.test(word);
  if (isZero(id) || isZero(seed)) return 0;
  const reply = await call.client.send(
    "POST",
    `/moon/${encodeURIComponent(id)}`,
    formatJson({ seed }),
  );
  if (reply.status !== 200) return refuse(call, reply);
  call.environment.io.out("200 orbit OK\n");
  return 0;
}

async function deorbit(call: CompatCall): Promise<number> {
  const reply = await call.client.send("DELETE", `/moon/${encodeURIComponent(call.words[1])}`);
  if (reply.status !== 200) return refuse(call, reply);
  call.environment.io.out(call.switches.json ? reply.text : "200 deorbit OK\n");
  return 0;
}

async function raw(call: CompatCall): Promise<number> {
  const reply = await call.client.send("GET", call.words[0]);
  if (reply.status !== 200) return refuse(call, reply);
  call.environment.io.out(reply.text);
  return 0;
}

async function dump(call: CompatCall): Promise<number> {
  const { environment, client, home } = call;
  const bodies: string[] = [];
  for (const path of ["/status", "/network", "/peer"]) {
    const reply = await client.send("GET", path);
    if (reply.status !== 200) return explainConnection(call, reply);
    bodies.push(reply.text);
  }
  const [status, networks, peers] = bodies;
  const parsed = quietly(() => parseJson(status));
  const version = isObject(parsed) ? String(parsed.version) : ANNOUNCED_VERSION.text;
  const localConf = quietly(() => home.readText("local.conf"));
  const interfaces = environment.interfaces();
  const text = dumpText({ version, status, networks, peers, localConf, interfaces });
  const path = environment.writeFile("zerotier_dump.txt", text);
  environment.io.out(`Writing dump to: ${path}\n`);
  return 0;
}

/** `bond list`, `bond <peer> show|rotate`, `bond setmtu <mtu> <interface> <ip>`. */
async function bond(call: CompatCall): Promise<number> {
  const { io } = call.environment;
  const [, subject, verb] = call.switches.words;
  if (subject === "list") return await listbonds(call);
  if (subject === "setmtu") return await setBondMtu(call);
  if (parseAddress(subject ?? "") === undefined || (verb !== "show" && verb !== "rotate")) {
    io.out("(bond) command is missing required arguments\n");
    return BAD_USAGE;
  }
  const reply = verb === "show"
    ? await call.client.send("GET", `/bond/show/${subject}`)
    : await call.client.send("POST", `/bond/rotate/${subject}`, "{}");
  if (reply.status !== 200) return refuse(call, reply);
  if (verb === "rotate") {
    io.out("200 rotate OK\n");
    return 0;
  }
  const peer = parseJson(reply.text);
  const { json } = call.switches;
  io.out(json ? `${formatJson(peer, 1)}\n` : bondText(peer as unknown as PeerInfo));
  return 0;
}

/** The reference takes the arguments from the wrong places and always asks for nothing; here they count. */
async function setBondMtu(call: CompatCall): Promise<number> {
  const path = call.switches.words.slice(2, 5).map(encodeURIComponent).join("/");
  const reply = await call.client.send("POST", `/bond/setmtu/${path}`, "{}");
  const done = reply.status === 200;
  call.environment.io.out(
    done ? "200 setmtu OK\n" : `${reply.status} Failed to set MTU: ${reply.text}\n`,
  );
  return done ? 0 : FAILED;
}
