/**
 * A service that exists only as values, for tests of the API and of the commands that use it.
 * @module
 */
import type { Address, NetworkId } from "../../../../lib/base/ids.ts";
import type { DoctorFacts } from "../../../../cli/engine/doctor/facts.ts";
import { formatAddress, formatMac, formatNetworkId, macOf } from "../../../../lib/base/ids.ts";
import { ApiError } from "../../../../lib/base/errors.ts";
import type {
  BondView,
  ControllerAnswer,
  MoonInfo,
  NamesInfo,
  NetworkInfo,
  NetworkSettings,
  NetworkWait,
  PeerInfo,
  PlanetInfo,
  ServiceView,
  StatusInfo,
} from "../../../../cli/api/view.ts";
import { isObject, type JsonObject } from "../../../../cli/engine/json.ts";

/** Everything is set and read by the test. */
export class FakeService implements ServiceView {
  statusInfo: StatusInfo;
  networkList: NetworkInfo[] = [];
  peerList: PeerInfo[] = [];
  moonList: MoonInfo[] = [];
  localConf: JsonObject = {};
  metricsText = "";
  bonds?: BondView;
  webFile?: (path: string) => Uint8Array | undefined;
  /** What is asked of the controller, and its answer. */
  controllerAnswer: ControllerAnswer = { status: 404 };
  controllerCalls: string[] = [];
  /** What was done to the service, in order. */
  readonly log: string[] = [];
  wait: NetworkWait | undefined;
  facts = {} as DoctorFacts;
  namesList: NamesInfo[] = [];

  constructor(status: StatusInfo) {
    this.statusInfo = status;
  }

  status(): StatusInfo {
    return this.statusInfo;
  }

  networks(): NetworkInfo[] {
    return [...this.networkList].sort((a, b) => a.id < b.id ? -1 : 1);
  }

  network(id: NetworkId): NetworkInfo | undefined {
    return this.networkList.find((network) => network.id === formatNetworkId(id));
  }

  join(id: NetworkId, settings: Partial<NetworkSettings>): NetworkInfo {
    const known = this.network(id);
    const network = { ...(known ?? this.#unconfigured(id)), ...settings };
    this.networkList = this.networkList.filter((other) => other !== known);
    this.networkList.push(network);
    return network;
  }

  #unconfigured(id: NetworkId): NetworkInfo {
    const address = parseInt(this.statusInfo.address, 16) as Address;
    return {
      allowDNS: false,
      allowDefault: false,
      allowGlobal: false,
      allowManaged: true,
      assignedAddresses: [],
      bridge: false,
      broadcastEnabled: false,
      dhcp: false,
      dns: { domain: "", servers: [] },
      id: formatNetworkId(id),
      mac: formatMac(macOf(address, id)),
      mtu: 2800,
      multicastSubscriptions: [],
      name: "",
      netconfRevision: 0,
      nwid: formatNetworkId(id),
      portDeviceName: deviceName(id),
      portError: 0,
      routes: [],
      status: "REQUESTING_CONFIGURATION",
      type: "PRIVATE",
    };
  }

  leave(id: NetworkId): boolean {
    const known = this.network(id);
    this.networkList = this.networkList.filter((other) => other !== known);
    return known !== undefined;
  }

  peers(): PeerInfo[] {
    return this.peerList;
  }

  peer(address: Address): PeerInfo | undefined {
    return this.peerList.find((peer) => peer.address === formatAddress(address));
  }

  moons(): MoonInfo[] {
    return this.moonList;
  }

  moon(id: bigint): MoonInfo | undefined {
    return this.moonList.find((moon) => BigInt(`0x${moon.id}`) === id);
  }

  onOrbit = (): void => {};

  orbit(id: bigint, seed: Address): void {
    this.log.push(`orbit ${id.toString(16)} ${formatAddress(seed)}`);
    this.onOrbit();
  }

  deorbit(id: bigint): void {
    this.moonList = this.moonList.filter((moon) => moon !== this.moon(id));
  }

  config(): JsonObject {
    return this.localConf;
  }

  setConfig(change: JsonObject): void {
    if (Object.keys(change).length === 0) return;
    const settings = isObject(this.localConf.settings) ? this.localConf.settings : {};
    this.localConf = { ...this.localConf, settings: { ...settings, ...change } };
  }

  controller(method: string, path: string, body: string): Promise<ControllerAnswer> {
    this.controllerCalls.push(`${method} ${path} ${body}`.trim());
    return Promise.resolve(this.controllerAnswer);
  }

  metrics(): string {
    return this.metricsText;
  }

  ztStatus(): JsonObject {
    return { ztVersion: "0.0.0" };
  }

  doctor(): Promise<DoctorFacts> {
    return Promise.resolve(this.facts);
  }

  waitNetwork(
    id: NetworkId,
    timeoutMs: number,
    _signal: AbortSignal,
  ): Promise<NetworkWait | undefined> {
    this.log.push(`wait ${formatNetworkId(id)} ${timeoutMs}`);
    return Promise.resolve(this.wait);
  }

  planet(): PlanetInfo {
    throw new ApiError(404, "the fake has no planet");
  }

  names(): NamesInfo[] {
    return this.namesList;
  }

  usePlanet(world: Uint8Array, replace: boolean): PlanetInfo {
    this.log.push(`usePlanet ${world.length} ${replace}`);
    if (!replace) throw new ApiError(409, "another planet is in use; add --replace");
    const id = "0000000000000001";
    return {
      id,
      timestamp: 1,
      signature: "",
      updatesMustBeSignedBy: "",
      roots: [],
      world: "AQ",
    };
  }

  stop(): void {
    this.log.push("stop");
  }
}

/** Name of the tap (spec 06 section 9.1). */
function deviceName(id: NetworkId): string {
  const letters = "abcdefghijklmnopqrstuvwxyz234567";
  const folded = (id ^ (id >> 24n)) & 0xff_ffff_ffffn;
  let name = "zt";
  for (let shift = 35n; shift >= 0n; shift -= 5n) name += letters[Number((folded >> shift) & 31n)];
  return name;
}
