import assert from "node:assert/strict";
import { formatEndpoint } from "../../../../lib/base/ip.ts";
import { portsToTry, predictSurfaces } from "../../../../lib/node/port_choice.ts";
import { endpoint, ROOT, seeded } from "./harness.ts";

/** "socket surface", trusted unless it ends in "?". */
function predicted(...reports: string[]): string[] {
  return predictSurfaces(reports.map((text, i) => {
    const [socket, surface] = text.replace("?", "").split(" ");
    return {
      reporter: ROOT.address,
      remote: endpoint(`44.0.0.${i + 1}/9993`),
      socket: Number(socket),
      surface: endpoint(surface),
      atMs: i,
      trusted: !text.endsWith("?"),
    };
  })).map(formatEndpoint);
}

Deno.test("predictSurfaces() goes on where a NAT counts", () => {
  const next = ["5004", "5005", "5006", "5007", "5008", "5009"].map((port) => `44.1.1.1/${port}`);
  assert.deepEqual(predicted("1 44.1.1.1/5000", "1 44.1.1.1/5003"), next);
  assert.deepEqual(predicted("1 44.1.1.1/5003", "1 44.1.1.1/5000?"), next, "in any order");
  assert.deepEqual(predicted("1 44.1.1.1/65530", "1 44.1.1.1/65534"), [
    "44.1.1.1/65535",
    ...[1024, 1025, 1026, 1027, 1028].map((port) => `44.1.1.1/${port}`),
  ]);
});

Deno.test("predictSurfaces() predicts nothing where ports are kept, are drawn, or nobody trusted saw them", () => {
  assert.deepEqual(predicted(), []);
  assert.deepEqual(predicted("1 44.1.1.1/5000", "1 44.1.1.1/5000"), [], "kept");
  assert.deepEqual(predicted("1 44.1.1.1/5000", "1 44.1.1.1/5017"), [], "drawn");
  assert.deepEqual(predicted("1 44.1.1.1/5000", "2 44.1.1.1/5001"), [], "of two sockets");
  assert.deepEqual(predicted("1 44.1.1.1/5000", "1 44.2.2.2/5001"), [], "of two NATs");
  assert.deepEqual(
    predicted("1 192.168.0.1/5000", "1 192.168.0.1/5001"),
    [],
    "not of the Internet",
  );
  assert.deepEqual(predicted("1 44.1.1.1/5000?", "1 44.1.1.1/5001?"), [], "hearsay");
});

Deno.test("portsToTry() begins behind the known ports, then takes any, none twice, none below 1024", () => {
  const ports = [...portsToTry([2_000, 65_535, 2_010], 1_024, seeded(1))];
  assert.deepEqual(ports.slice(0, 33), [...range(2_001, 32), 1_024]);
  assert.deepEqual(ports.slice(64, 74), range(2_033, 10), "those of both are tried once");
  assert.equal(ports.length, 1_024);
  assert.equal(new Set(ports).size, 1_024);
  assert.ok(ports.every((port) => port >= 1_024 && port <= 65_535));
  const drawn = ports.slice(100);
  const high = drawn.filter((port) => port >= 33_280).length / drawn.length;
  assert.ok(high > 0.4 && high < 0.6, "from the whole range");
});

function range(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}
