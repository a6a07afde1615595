/**
 * What a diagnosis is made from: gathered by the service about itself, and by the command about the
 * machine. Plain JSON; spans in milliseconds.
 * @module
 */
import type { MappingStatus } from "../port_mapping/mapper.ts";
import type { ProxyFacts } from "../tcp/proxy_probe.ts";
import type { NatView } from "../../../lib/node/nat_kind.ts";

/** What the process that gathers them may do, and has. */
export type MachineFacts = {
  /** Whether virtual interfaces can be made: /dev/net/tun opens. */
  tun: "ok" | "missing" | "denied";
  /** cap_net_admin: addresses and routes can be set. */
  canAdminNetwork: boolean;
  userId: number;
  /** Descriptors in use and allowed; null when the system does not say. */
  openFiles: number | null;
  openFilesMax: number | null;
  home: string;
  /** Why nothing can be written to the home folder; null when it can. */
  homeTrouble: string | null;
  /** Null when we may not ask. */
  homeFreeBytes: number | null;
  /** What is wrong with local.conf; null when it can be read, or there is none. */
  settingsTrouble: string | null;
  /** Keys in it that have no effect. */
  settingsUnknown: string[];
  /** Epoch milliseconds. */
  clockMs: number;
};

/** One root. */
export type RootFacts = {
  address: string;
  role: "PLANET" | "MOON";
  /** "ip/port" it is listed with. */
  endpoints: string[];
  /** How it is reached, or null when it is not. */
  link: "udp" | "tcp" | null;
  /** "ip/port" it answers at. */
  path: string | null;
  roundTripMs: number | null;
  lossFraction: number | null;
  /** Longest datagram that gets there, in bytes of UDP payload; null when that is not known. */
  datagramBytesMax: number | null;
  /** Since it was last heard; null for never. */
  heardMs: number | null;
  /** Why there is no direct way to it; null when there is one. */
  reason: string | null;
};

/** A device paths run over. */
export type DeviceFacts = { name: string; mtu: number; running: boolean; addresses: string[] };

/** What a running service says about itself. */
export type DoctorFacts = {
  address: string;
  version: string;
  online: boolean;
  machine: MachineFacts;
  ports: {
    primary: number;
    secondary: number | null;
    tertiary: number | null;
    /** "ip/port" of every UDP socket. */
    bound: string[];
    /** Sockets that could not be opened, with the reason. */
    refused: string[];
  };
  /** `forceTcpRelay` is set. */
  isUdpForbidden: boolean;
  /** The TCP relay in use, in words. */
  tcpRelay: string | null;
  /** The HTTP proxy, tried just now; null where none would be used. */
  httpProxy: ProxyFacts | null;
  ipv4: NatView;
  ipv6: NatView;
  roots: RootFacts[];
  /** Moons asked for and not received: their ids, and the root each is asked of. */
  moonsAwaited: { id: string; seed: string }[];
  portMapping: { enabled: boolean; ports: MappingStatus[] };
  devices: DeviceFacts[];
  clock: {
    /** How far the clock was moved while the service ran; positive: forward. */
    movedMs: number;
    /** When the planet was signed: no right clock shows an earlier time. Epoch milliseconds. */
    planetMs: number;
  };
};
