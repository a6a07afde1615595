/** Seeded: whatever a gateway sends, the parsers answer with a value or undefined. */
import { type Ip, parseIp } from "../../../../../lib/base/ip.ts";
import { fromHex, utf8 } from "../../../../../lib/base/bytes.ts";
import { decodeNatPmp } from "../../../../../cli/engine/port_mapping/nat_pmp.ts";
import { decodePcp } from "../../../../../cli/engine/port_mapping/pcp.ts";
import { parseSearchAnswer } from "../../../../../cli/engine/port_mapping/ssdp.ts";
import { parseDescription } from "../../../../../cli/engine/port_mapping/upnp.ts";
import { seeded } from "../../../lib/node/harness.ts";
import { describe, searchAnswer } from "./gateway.ts";

const FROM: Ip = parseIp("192.168.1.1")!;
const URL_OF = new URL("http://192.168.1.1:5000/root.xml");
const decoder = new TextDecoder();
const CORPUS: Record<string, Uint8Array> = {
  "NAT-PMP": fromHex("008100000000000a7918791900000258"),
  PCP: fromHex(
    "02810000" + "00000258" + "00".repeat(16) + "01".repeat(12) + "11000000" + "79187918" +
      "00000000000000000000ffff2c070707",
  ),
  SSDP: utf8(searchAnswer("http://192.168.1.1:5000/root.xml")),
  description: utf8(describe("/ctl/IPConn")),
};

/** Flips, cuts, doubles: what is nearly right finds more than noise. */
function mutate(bytes: Uint8Array, random: (bytes: Uint8Array) => void): Uint8Array {
  const dice = new Uint8Array(8);
  random(dice);
  const out = bytes.slice(0, dice[0] % 3 === 0 ? dice[1] % (bytes.length + 1) : bytes.length);
  for (let i = 0; i < dice[2] % 6 && out.length > 0; i++) {
    out[(dice[3] * 256 + dice[4] * (i + 1)) % out.length] = dice[5 + i % 3];
  }
  return dice[7] % 5 === 0 ? new Uint8Array([...out, ...out]) : out;
}

for (const [name, bytes] of Object.entries(CORPUS)) {
  Deno.test(`parsers of port mapping survive 20,000 mutations of ${name}`, () => {
    const random = seeded(bytes.length);
    for (let i = 0; i < 20_000; i++) {
      const mutated = mutate(bytes, random);
      decodeNatPmp(mutated);
      decodePcp(mutated);
      parseSearchAnswer(mutated, FROM);
      if (name === "description") parseDescription(decoder.decode(mutated), URL_OF);
    }
  });
}
