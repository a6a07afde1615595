import { deepEqual, equal } from "node:assert/strict";
import { ownersIn, withBlock, withoutBlock } from "../../../../../cli/engine/dns/resolv_conf.ts";
import { parseIp } from "../../../../../lib/base/ip.ts";

const OWNER = "8056c2e21c000001@a0b1c2d3e4";
const OTHER = "8056c2e21c000002@a0b1c2d3e4";
const DNS = {
  domains: [{ name: "lab.example", isSearched: true }],
  servers: ["10.9.0.53", "fd00::53"].map((ip) => parseIp(ip)!),
};
const TEXTS = ["", "nameserver 1.1.1.1\n", "# by hand\nsearch home\nnameserver 1.1.1.1", "\n\n"];

Deno.test("withBlock() puts a network's servers before all others", () => {
  equal(
    withBlock("nameserver 1.1.1.1\n", OWNER, DNS),
    `# zt begin ${OWNER}\nsearch lab.example\nnameserver 10.9.0.53\nnameserver fd00::53\n` +
      `# zt end ${OWNER}\nnameserver 1.1.1.1\n`,
  );
});

Deno.test("withBlock() does not look for every name in a domain that is not searched", () => {
  const names = { ...DNS, domains: [{ name: "office.zt", isSearched: false }] };
  equal(
    withBlock("", OWNER, names),
    `# zt begin ${OWNER}\nnameserver 10.9.0.53\nnameserver fd00::53\n# zt end ${OWNER}\n`,
  );
});

Deno.test("withoutBlock() leaves what was there before, to the byte", () => {
  for (const text of TEXTS) {
    const one = withBlock(text, OWNER, DNS);
    equal(withoutBlock(one, OWNER), text);
    equal(withBlock(one, OWNER, DNS), one);
    const two = withBlock(one, OTHER, DNS);
    equal(withoutBlock(withoutBlock(two, OWNER), OTHER), text);
    equal(withoutBlock(text, OWNER), text);
  }
});

Deno.test("withoutBlock() leaves a block alone that somebody cut in two", () => {
  const cut = withBlock("", OWNER, DNS).replace(/# zt end.*\n/, "");
  equal(withoutBlock(cut, OWNER), cut);
});

Deno.test("ownersIn() finds the blocks of one node", () => {
  const foreign = "8056c2e21c000001@ffffffffff";
  const text = withBlock(withBlock(withBlock("", OWNER, DNS), foreign, DNS), OTHER, DNS);
  deepEqual(ownersIn(text, "@a0b1c2d3e4"), [OTHER, OWNER]);
  deepEqual(ownersIn("nameserver 1.1.1.1\n", "@a0b1c2d3e4"), []);
});
