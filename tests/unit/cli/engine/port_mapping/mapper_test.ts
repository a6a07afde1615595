import assert from "node:assert/strict";
import { SystemError } from "../../../../../lib/base/errors.ts";
import { formatEndpoint } from "../../../../../lib/base/ip.ts";
import { PortMapper } from "../../../../../cli/engine/port_mapping/mapper.ts";
import type {
  MappingClient,
  MappingOutcome,
  MappingProtocol,
  MappingWish,
} from "../../../../../cli/engine/port_mapping/mapping.ts";
import { endpoint, silence, WISH } from "./gateway.ts";

const SILENT: MappingOutcome = { kind: "silent" };
const REFUSED: MappingOutcome = { kind: "refused", reason: "no" };
const mapped = (external: string, lifetimeS = 600): MappingOutcome => ({
  kind: "mapped",
  mapping: { external: endpoint(external), lifetimeS },
});

/** A client that answers from a list, its last answer for ever. */
class ListClient implements MappingClient {
  asked = 0;
  unmapped = 0;

  constructor(readonly protocol: MappingProtocol, public answers: MappingOutcome[]) {}

  map(): Promise<MappingOutcome> {
    this.asked++;
    const answer = this.answers.length > 1 ? this.answers.shift()! : this.answers[0];
    return Promise.resolve(answer);
  }

  unmap(): Promise<void> {
    this.unmapped++;
    return Promise.resolve();
  }
}

/** A mapper whose clock the test moves; its waits are as long as that clock says, but end when kicked. */
function bench(clients: ListClient[]) {
  const told: string[] = [];
  let nowMs = 0;
  const mapper = new PortMapper({
    openWire: silence,
    clients: () => clients,
    nowMs: () => nowMs,
    onChanged: (endpoints) => told.push(endpoints.map(formatEndpoint).join(" ")),
    log: () => {},
  });
  const again = async () => {
    nowMs += 1_000_000;
    mapper.kick();
    await settled();
  };
  return { mapper, told, again };
}

async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("PortMapper tries protocols in order and keeps to the one that worked", async () => {
  const [pcp, natPmp, upnp] = [
    new ListClient("pcp", [SILENT]),
    new ListClient("nat-pmp", [mapped("44.7.7.7/1000")]),
    new ListClient("upnp", [mapped("44.7.7.7/2000")]),
  ];
  const { mapper, told, again } = bench([pcp, natPmp, upnp]);
  mapper.update([WISH]);
  assert.equal(mapper.status[0].pending, true);
  await settled();
  assert.deepEqual(told, ["44.7.7.7/1000"]);
  assert.deepEqual(mapper.status, [{
    gateway: "192.168.1.1",
    internal: "192.168.1.20/31000",
    external: "44.7.7.7/1000",
    protocol: "nat-pmp",
    pending: false,
    trials: [{ protocol: "pcp", result: "silent" }, { protocol: "nat-pmp", result: "mapped" }],
    nextTryMs: 300_000,
  }]);
  await again();
  assert.deepEqual([pcp.asked, natPmp.asked, upnp.asked], [1, 2, 0]);
  await mapper.close();
  assert.deepEqual([pcp.unmapped, natPmp.unmapped, upnp.unmapped], [0, 1, 0]);
  assert.deepEqual(told, ["44.7.7.7/1000", ""]);
});

Deno.test("PortMapper tells a changed address at once", async () => {
  const client = new ListClient("pcp", [mapped("44.7.7.7/1000"), mapped("44.8.8.8/1000")]);
  const { mapper, told, again } = bench([client]);
  mapper.update([WISH]);
  await settled();
  await again();
  assert.deepEqual(told, ["44.7.7.7/1000", "44.8.8.8/1000"]);
  await mapper.close();
});

Deno.test("PortMapper prolongs at half the lifetime, within bounds", async () => {
  const next = async (lifetimeS: number) => {
    const { mapper } = bench([new ListClient("pcp", [mapped("44.7.7.7/1000", lifetimeS)])]);
    mapper.update([WISH]);
    await settled();
    const [{ nextTryMs }] = mapper.status;
    await mapper.close();
    return nextTryMs;
  };
  assert.equal(await next(120), 60_000);
  assert.equal(await next(1), 30_000);
  assert.equal(await next(86_400), 300_000);
  assert.equal(await next(Infinity), 300_000);
});

Deno.test("PortMapper backs off when refused, and says what it tried", async () => {
  const clients = [new ListClient("pcp", [SILENT]), new ListClient("upnp", [REFUSED])];
  const { mapper, told } = bench(clients);
  mapper.update([WISH]);
  await settled();
  const [status] = mapper.status;
  assert.deepEqual(status.trials, [
    { protocol: "pcp", result: "silent" },
    { protocol: "upnp", result: "refused", reason: "no" },
  ]);
  assert.deepEqual([status.external, status.protocol, status.nextTryMs], [null, null, 10_000]);
  assert.deepEqual(told, []);
  await mapper.close();
});

Deno.test("PortMapper lets go of a mapping that cannot be prolonged, and asks the others", async () => {
  const pcp = new ListClient("pcp", [mapped("44.7.7.7/1000"), SILENT]);
  const upnp = new ListClient("upnp", [SILENT, mapped("44.7.7.7/2000")]);
  const { mapper, told, again } = bench([pcp, upnp]);
  mapper.update([WISH]);
  await settled();
  await again(); // a million milliseconds later: the lifetime is over
  assert.deepEqual(told, ["44.7.7.7/1000", ""]);
  await again();
  assert.deepEqual(told, ["44.7.7.7/1000", "", "44.7.7.7/2000"]);
  assert.equal(mapper.status[0].protocol, "upnp");
  await mapper.close();
});

Deno.test("PortMapper does not pass on addresses nobody could reach", async () => {
  for (const lie of ["127.0.0.1/80", "0.0.0.0/80", "224.0.0.1/80", "44.7.7.7/0"]) {
    const { mapper, told } = bench([new ListClient("upnp", [mapped(lie)])]);
    mapper.update([WISH]);
    await settled();
    assert.deepEqual(told, [], lie);
    assert.equal(mapper.status[0].trials[0].result, "refused");
    await mapper.close();
  }
});

Deno.test("PortMapper.update() keeps what stays and gives back what goes", async () => {
  const made: MappingWish[] = [];
  const clients = new Map<number, ListClient>();
  const mapper = new PortMapper({
    openWire: silence,
    clients: (wish) => {
      made.push(wish);
      const client = new ListClient("pcp", [mapped(`44.7.7.7/${wish.internalPort}`)]);
      clients.set(wish.internalPort, client);
      return [client];
    },
    nowMs: () => 0,
    onChanged: () => {},
    log: () => {},
  });
  const other = { ...WISH, internalPort: 32_000 };
  mapper.update([WISH, other]);
  await settled();
  mapper.update([{ ...WISH }]);
  await settled();
  assert.equal(made.length, 2);
  assert.deepEqual(mapper.endpoints.map(formatEndpoint), ["44.7.7.7/31000"]);
  assert.deepEqual([clients.get(31_000)!.unmapped, clients.get(32_000)!.unmapped], [0, 1]);
  await mapper.close();
  assert.equal(clients.get(31_000)!.unmapped, 1);
});

Deno.test("PortMapper.close() gives back what may have been granted while it was asked for", async () => {
  let unmapped = 0;
  const slow: MappingClient = {
    protocol: "pcp",
    map: (_wire, signal) =>
      new Promise((resolve) => signal.addEventListener("abort", () => resolve(SILENT))),
    unmap: () => {
      unmapped++;
      return Promise.resolve();
    },
  };
  const mapper = new PortMapper({
    openWire: silence,
    clients: () => [slow],
    nowMs: () => 0,
    onChanged: () => {},
    log: () => {},
  });
  mapper.update([WISH]);
  await settled();
  await mapper.close();
  assert.equal(unmapped, 1);
});

Deno.test("PortMapper lives with an address that is gone", async () => {
  const mapper = new PortMapper({
    openWire: () => {
      throw new SystemError("bind UDP", "EADDRNOTAVAIL");
    },
    clients: () => [new ListClient("pcp", [mapped("44.7.7.7/1")])],
    nowMs: () => 0,
    onChanged: () => assert.fail("nothing was mapped"),
    log: () => {},
  });
  mapper.update([WISH]);
  await settled();
  assert.equal(mapper.status[0].external, null);
  await mapper.close();
});
