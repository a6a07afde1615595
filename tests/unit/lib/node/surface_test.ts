import assert from "node:assert/strict";
import { formatEndpoint } from "../../../../lib/base/ip.ts";
import { Surface } from "../../../../lib/node/surface.ts";
import { Path } from "../../../../lib/peer/path.ts";
import { ALICE, BOB, CAROL, endpoint, ROOT } from "./harness.ts";

const path = (at: string, socket = 1) => new Path(socket, endpoint(at));
const told = (surface: Surface, nowMs: number) => surface.confirmed(nowMs).map(formatEndpoint);

Deno.test("Surface.confirmed() tells what an upstream says", () => {
  const surface = new Surface();
  surface.report(ROOT.address, path("44.0.0.1/9993"), endpoint("44.1.1.1/5000"), true, 0);
  assert.deepEqual(told(surface, 1), ["44.1.1.1/5000"]);
});

Deno.test("Surface.confirmed() believes peers only when two say the same", () => {
  const surface = new Surface();
  const lie = endpoint("44.9.9.9/1");
  surface.report(ALICE.address, path("44.0.0.3/9993"), lie, false, 0);
  surface.report(ALICE.address, path("44.0.0.3/9994"), lie, false, 0);
  assert.deepEqual(told(surface, 1), [], "one peer twice is one peer");
  surface.report(BOB.address, path("44.0.0.4/9993"), lie, false, 0);
  assert.deepEqual(told(surface, 1), ["44.9.9.9/1"]);
});

Deno.test("Surface.report() ignores surfaces of another scope than the path", () => {
  const surface = new Surface();
  surface.report(ROOT.address, path("44.0.0.1/9993"), endpoint("192.168.0.1/1"), true, 0);
  surface.report(ROOT.address, path("127.0.0.1/9993"), endpoint("127.0.0.1/1"), true, 0);
  assert.deepEqual(told(surface, 1), []);
});

Deno.test("Surface.report() notices a changed address, from upstreams only, and forgets the others", () => {
  const surface = new Surface();
  const root = path("44.0.0.1/9993");
  const peer = path("44.0.0.4/9993");
  assert.equal(surface.report(BOB.address, peer, endpoint("44.1.1.1/5"), false, 0), false);
  assert.equal(surface.report(ROOT.address, root, endpoint("44.1.1.1/5"), true, 0), false);
  assert.equal(surface.report(ROOT.address, root, endpoint("44.1.1.1/6"), true, 1), false, "port");
  assert.equal(surface.report(BOB.address, peer, endpoint("44.2.2.2/5"), false, 2), false);
  surface.report(CAROL.address, path("44.0.0.5/9993"), endpoint("44.1.1.1/6"), true, 2);
  assert.equal(surface.report(ROOT.address, root, endpoint("44.3.3.3/5"), true, 3), true);
  assert.deepEqual(told(surface, 4), ["44.3.3.3/5"]);
});

Deno.test("Surface forgets reports after ten minutes, and those of a socket that is gone", () => {
  const surface = new Surface();
  surface.report(ROOT.address, path("44.0.0.1/9993", 1), endpoint("44.1.1.1/5"), true, 0);
  surface.report(ROOT.address, path("44.0.0.1/9993", 2), endpoint("44.1.1.1/6"), true, 5);
  assert.deepEqual(surface.bySocket(10).map((report) => report.socket), [1, 2]);
  assert.deepEqual(told(surface, 600_001), ["44.1.1.1/6"]);
  surface.expire(600_001);
  surface.dropSocket(2);
  assert.deepEqual(told(surface, 10), []);
});

Deno.test("Surface.report() keeps what upstreams say, however many ports a peer comes from", () => {
  const surface = new Surface();
  surface.report(ROOT.address, path("44.0.0.1/9993"), endpoint("44.1.1.1/5000"), true, 0);
  for (let port = 1; port <= 2_000; port++) {
    const lie = endpoint(`44.9.9.9/${port}`);
    surface.report(BOB.address, path(`44.0.0.4/${port}`), lie, false, port);
  }
  assert.deepEqual(told(surface, 2_001), ["44.1.1.1/5000"]);
  assert.equal(surface.reportsSince(0).length, 512);
});

Deno.test("Surface.report() keeps 512 reports, the latest", () => {
  const surface = new Surface();
  for (let i = 0; i < 600; i++) {
    const reporter = (CAROL.address + i) as typeof CAROL.address;
    surface.report(
      reporter,
      path("44.0.0.5/9993"),
      endpoint(`44.1.${i >> 8}.${i & 255}/1`),
      true,
      i,
    );
  }
  assert.equal(told(surface, 601).length, 512);
});

Deno.test("Surface.reportsSince() tells who saw which socket how, from where, and when", () => {
  const surface = new Surface();
  surface.report(ROOT.address, path("44.0.0.1/9993", 7), endpoint("44.1.1.1/5"), true, 10);
  surface.report(BOB.address, path("44.0.0.4/9993", 7), endpoint("44.1.1.1/6"), false, 20);
  const seen = surface.reportsSince(10).map((
    { reporter, remote, socket, surface, trusted },
  ) => [reporter, formatEndpoint(remote), socket, formatEndpoint(surface), trusted]);
  assert.deepEqual(seen, [
    [ROOT.address, "44.0.0.1/9993", 7, "44.1.1.1/5", true],
    [BOB.address, "44.0.0.4/9993", 7, "44.1.1.1/6", false],
  ]);
  assert.equal(surface.reportsSince(11).length, 1);
});
