import { equal } from "node:assert/strict";
import { fromHex } from "../../../../lib/base/bytes.ts";
import { isGroupReport } from "../../../../lib/network/group_report.ts";

// As Linux 6.18 sent them on joining 239.1.2.3 and ff15::1234, and on looking for a router.
const IGMP = "01005e0000160a8b543ad6c9080046c000280000400001" +
  "02f9300ac80001e0000016940400002200e8f90000000104000000ef010203";
const MLD = "3333000000160a8b543ad6c986dd6000000000240001fe80000000000000088b54fffe3ad6c9" +
  "ff0200000000000000000000000000163a000502000001008f002b350000000104000000" +
  "ff150000000000000000000000001234";
const SOLICITATION =
  "3333000000020a8b543ad6c986dd6000000000103afffe80000000000000088b54fffe3ad6c9" +
  "ff02000000000000000000000000000285001410000000000101" +
  "0a8b543ad6c9";

/** The frame with one byte changed. */
function changed(hex: string, at: number, byte: number): Uint8Array {
  const bytes = fromHex(hex);
  bytes[at] = byte;
  return bytes;
}

Deno.test("isGroupReport() knows IGMP and MLD as a kernel sends them", () => {
  equal(isGroupReport(fromHex(IGMP)), true);
  equal(isGroupReport(fromHex(MLD)), true);
  for (const type of [131, 132]) equal(isGroupReport(changed(MLD, 62, type)), true, `${type}`);
});

Deno.test("isGroupReport() takes nothing else for one", () => {
  equal(isGroupReport(fromHex(SOLICITATION)), false);
  equal(isGroupReport(changed(IGMP, 23, 17)), false, "UDP");
  equal(isGroupReport(changed(MLD, 62, 130)), false, "a router's query");
  equal(isGroupReport(changed(MLD, 54, 17)), false, "UDP behind a hop-by-hop header");
  equal(isGroupReport(changed(MLD, 13, 0xdc)), false, "another ethertype");
});

Deno.test("isGroupReport() says no to every frame cut before the byte that tells", () => {
  for (const [hex, tells] of [[IGMP, 23], [MLD, 62]] as const) {
    const bytes = fromHex(hex);
    for (let length = 0; length <= bytes.length; length++) {
      equal(isGroupReport(bytes.subarray(0, length)), length > tells, `${length} bytes`);
    }
  }
});
