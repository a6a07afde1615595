import assert from "node:assert/strict";
import { parseEndpoint } from "../../../../lib/base/ip.ts";
import type { Address } from "../../../../lib/base/ids.ts";
import { type NatKind, natView } from "../../../../lib/node/nat_kind.ts";

const SOCKETS = ["192.168.1.2/9993", "192.168.1.2/30000", "2a00::2/9993"].map((text, index) => ({
  id: index + 1,
  ...parseEndpoint(text)!,
}));

/** "socket remote surface", one report each, later ones later. */
function view(ipLength: 4 | 16, ...reports: string[]) {
  const made = reports.map((report, index) => {
    const [socket, remote, surface] = report.split(" ");
    return {
      reporter: 1 as Address,
      socket: Number(socket),
      remote: parseEndpoint(remote)!,
      surface: parseEndpoint(surface)!,
      atMs: index,
      trusted: true,
    };
  });
  return natView(made, SOCKETS, ipLength);
}

Deno.test("natView() tells kinds of NAT apart", () => {
  const cases: [NatKind, ...string[]][] = [
    ["unknown"],
    ["none", "1 192.168.1.1/9993 192.168.1.2/9993"],
    ["translated", "1 44.0.0.1/9993 44.9.9.9/1111"],
    [
      "endpoint-independent",
      "1 44.0.0.1/9993 44.9.9.9/1111",
      "1 44.0.0.2/9993 44.9.9.9/1111",
      "2 44.0.0.1/9993 44.9.9.9/2222",
    ],
    ["symmetric", "1 44.0.0.1/9993 44.9.9.9/1111", "1 44.0.0.2/9993 44.9.9.9/1112"],
    ["symmetric", "1 44.0.0.1/9993 44.9.9.9/1111", "1 44.0.0.2/9993 44.9.9.8/1111"],
    [
      "symmetric",
      "1 44.0.0.1/9993 44.9.9.9/1111",
      "1 44.0.0.2/9993 44.9.9.9/1111",
      "2 44.0.0.1/9993 44.9.9.9/2222",
      "2 44.0.0.2/9993 44.9.9.9/2223",
    ],
  ];
  for (const [kind, ...reports] of cases) {
    assert.equal(view(4, ...reports).kind, kind, reports.join());
  }
});

Deno.test("natView() goes by the Internet's word where there is one, and by each family's own", () => {
  const both = [
    "1 192.168.1.1/9993 192.168.1.2/9993",
    "1 44.0.0.1/9993 44.9.9.9/1111",
    "3 2a00::1/9993 2a00::2/9993",
  ];
  assert.deepEqual(view(4, ...both), {
    kind: "translated",
    surfaces: ["44.9.9.9/1111"],
    witnesses: 1,
  });
  assert.deepEqual(view(16, ...both), { kind: "none", surfaces: ["2a00::2/9993"], witnesses: 1 });
});

Deno.test("natView() knows nothing of a socket that is gone", () => {
  assert.equal(view(4, "9 44.0.0.1/9993 44.9.9.9/1111").kind, "unknown");
});
