import { deepEqual, equal } from "node:assert/strict";
import * as records from "../../../../lib/dataplane/records.ts";

Deno.test("a record gives back its endpoint, IPv4 and IPv6, at any offset", () => {
  const view = new DataView(new ArrayBuffer(64));
  const names = Uint8Array.from({ length: 40 }, (_, i) => i);
  for (const [at, ipLength] of [[0, 4], [5, 16]]) {
    records.putRecord(view, at, records.RecordKind.DATAGRAM, 0xffff_fff0);
    records.putRecordEndpoint(view, at, names, 20, ipLength, 65_535);
    equal(records.recordKind(view, at), 16);
    equal(records.recordId(view, at), 0xffff_fff0);
    equal(records.recordIpLength(view, at), ipLength);
    equal(records.recordPort(view, at), 65_535);
    const from = at + records.RECORD_IP_AT;
    const ip = new Uint8Array(view.buffer).slice(from, from + ipLength);
    deepEqual(ip, names.slice(20, 20 + ipLength));
  }
});

Deno.test("putRecord() carries a value and what it is about, and leaves no endpoint behind", () => {
  const view = new DataView(new ArrayBuffer(records.RECORD_HEADER_LENGTH));
  records.putRecordEndpoint(view, 0, new Uint8Array(16), 0, 16, 9993);
  records.putRecord(view, 0, records.RecordKind.REMOVED, 7, -5, records.RecordKind.ADD_TAP);
  deepEqual(
    [records.recordValue(view, 0), records.recordPort(view, 0), records.recordIpLength(view, 0)],
    [-5, records.RecordKind.ADD_TAP, 0],
  );
});
