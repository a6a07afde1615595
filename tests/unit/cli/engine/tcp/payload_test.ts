import assert from "node:assert/strict";
import { fromHex, toHex } from "../../../../../lib/base/bytes.ts";
import { WireError } from "../../../../../lib/base/errors.ts";
import { formatEndpoint, parseEndpoint } from "../../../../../lib/base/ip.ts";
import { decodePayload, encodePayload } from "../../../../../cli/engine/tcp/payload.ts";

const datagram = fromHex("00112233445566778899aabbccddeeff");

Deno.test("encodePayload() writes family, address, port and datagram", () => {
  const ipv4 = encodePayload({ endpoint: parseEndpoint("44.1.2.3/9993")!, datagram });
  assert.equal(toHex(ipv4), "042c0102032709" + toHex(datagram));
  const ipv6 = encodePayload({ endpoint: parseEndpoint("2001:db8::7/443")!, datagram });
  assert.equal(toHex(ipv6), "0620010db800000000000000000000000701bb" + toHex(datagram));
});

Deno.test("decodePayload() reads what encodePayload() wrote, and an empty datagram", () => {
  for (const text of ["44.1.2.3/9993", "2001:db8::7/443"]) {
    for (const bytes of [datagram, new Uint8Array(0)]) {
      const message = encodePayload({ endpoint: parseEndpoint(text)!, datagram: bytes });
      const read = decodePayload(message)!;
      assert.equal(formatEndpoint(read.endpoint), text);
      assert.deepEqual(read.datagram, bytes);
    }
  }
});

Deno.test("decodePayload() rejects every truncation of the endpoint", () => {
  for (const text of ["44.1.2.3/9993", "2001:db8::7/443"]) {
    const message = encodePayload({ endpoint: parseEndpoint(text)!, datagram: new Uint8Array(0) });
    for (let length = 0; length < message.length; length++) {
      assert.throws(() => decodePayload(message.subarray(0, length)), WireError, `${length}`);
    }
  }
});

Deno.test("decodePayload() skips type 0 and rejects every other type", () => {
  const message = encodePayload({ endpoint: parseEndpoint("2001:db8::7/443")!, datagram });
  for (let type = 0; type < 256; type++) {
    message[0] = type;
    if (type === 0) assert.equal(decodePayload(message), undefined);
    else if (type === 4 || type === 6) assert.ok(decodePayload(message));
    else assert.throws(() => decodePayload(message), WireError, `type ${type}`);
  }
});
