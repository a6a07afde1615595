import assert from "node:assert/strict";
import type { PeerInfo } from "../../../../cli/api/view.ts";
import { bondText } from "../../../../cli/commands/compat_text.ts";

/** Printed by zerotier-cli 1.14.1 of its own service, in the laboratory. */
const RECORDED = `Peer                   : 37bd9e773a
Bond                   : active-backup
Link Select Method     : 0
Links                  : 9/9
Failover Interval (ms) : 5000
Up Delay (ms)          : 0
Down Delay (ms)        : 0
Packets Per Link       : 64

idx                  interface                                  path               socket             local port
------------------------------------------------------------------------------------------------------------------------
 0:                       eth0                                      10.77.1.2/9993 0000557180d81560         9993
 1:                       eth0                                      10.77.1.2/9993 0000557180d82cd0        36467

idx     lat      pdv    capacity    qual      rx_age      tx_age  eligible  bonded   flows
------------------------------------------------------------------------------------------------------------------------
 0:     0.00     0.00          0  0.0000        1447        1447         1       0       0
 1:     3.00     0.13          0  0.0000         109         109         1       1       0
`;

Deno.test("bondText() prints the reference's tables, to the column", () => {
  const path = {
    ifname: "eth0",
    address: "10.77.1.2/9993",
    givenLinkSpeed: 0,
    relativeQuality: 0,
    eligible: 1,
    assignedFlowCount: 0,
  };
  const peer = {
    address: "37bd9e773a",
    bondingPolicyStr: "active-backup",
    numAliveLinks: 9,
    numTotalLinks: 9,
    failoverInterval: 5_000,
    upDelay: 0,
    downDelay: 0,
    packetsPerLink: 64,
    paths: [{
      ...path,
      localSocket: 0x557180d81560,
      localPort: 9993,
      latencyMean: 0,
      latencyVariance: 0,
      lastInAge: 1_447,
      lastOutAge: 1_447,
      bonded: 0,
    }, {
      ...path,
      localSocket: 0x557180d82cd0,
      localPort: 36_467,
      latencyMean: 3,
      latencyVariance: 0.1259881556034088,
      lastInAge: 109,
      lastOutAge: 109,
      bonded: 1,
    }],
  };
  assert.equal(bondText(peer as unknown as PeerInfo), RECORDED);
});
