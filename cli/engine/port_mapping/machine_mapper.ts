/**
 * The mapper of a running node on its machine: all three protocols, real sockets.
 * @module
 */
import type { Machine } from "../../../ffi/mod.ts";
import type { Endpoint } from "../../../lib/base/ip.ts";
import type { Random } from "../../../lib/crypto/primitives.ts";
import { httpCall } from "./http_call.ts";
import { PortMapper } from "./mapper.ts";
import type { MappingClient, MappingWish } from "./mapping.ts";
import { NatPmpClient } from "./nat_pmp.ts";
import { PcpClient } from "./pcp.ts";
import { UpnpClient } from "./upnp.ts";
import { openWire } from "./wire.ts";

/** Makes the mapper. @param address Ten digits: names our entries in the tables of routers */
export function machineMapper(options: {
  readonly machine: Machine;
  readonly random: Random;
  readonly address: string;
  readonly onChanged: (endpoints: Endpoint[]) => void;
  readonly log: (line: string) => void;
}): PortMapper {
  const { machine, random, address, onChanged, log } = options;
  return new PortMapper({
    openWire: ({ local, device }) => openWire(machine, local, device),
    clients: (wish) => clientsFor(wish, random, address),
    nowMs: () => machine.nowMs(),
    onChanged,
    log,
  });
}

/** On IPv6 there is nothing to translate: only PCP opens a firewall. */
function clientsFor(wish: MappingWish, random: Random, address: string): MappingClient[] {
  const pcp = new PcpClient(wish, random);
  if (wish.local.length === 16) return [pcp];
  return [pcp, new NatPmpClient(wish), new UpnpClient(wish, { address, http: httpCall })];
}
