/**
 * A firewall between an inside and the Internet that swallows every UDP packet, or lets it pass
 * again. Made of a routing rule of the router ("what is UDP goes nowhere"), so that no other
 * program is needed; TCP and ICMP pass.
 * @module
 */
import type { Lab, LabHost } from "../../cli/engine/lab.ts";
import { MessageWriter, NLM_F_ACK, NLM_F_CREATE } from "../../ffi/linux/netlink_message.ts";
import { AF_INET, AF_INET6 } from "../../ffi/linux/sockaddr.ts";

// linux/fib_rules.h
const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const FRA_PRIORITY = 6;
const FRA_IP_PROTO = 22;
const FR_ACT_BLACKHOLE = 6;
const PRIORITY = 10; // before the main table
const UDP = 17;

/** Routes between the Internet's hosts and those behind it. */
export class UdpFirewall {
  #inside = 0;

  /** @param host A router: on the Internet's switch, behind it what {@linkcode connect} puts there */
  constructor(readonly lab: Lab, readonly host: LabHost) {
    host.forward();
  }

  /**
   * Puts a host behind it, with its default routes this way.
   * @returns its networks, for the routes back
   */
  connect(inside: LabHost): string[] {
    const n = ++this.#inside;
    const networks = [`44.2.${n}.0/24`, `2a00:2:${n}::/64`];
    this.lab.wire(inside, this.host, {
      a: [`44.2.${n}.2/24`, `2a00:2:${n}::2/64`],
      b: [`44.2.${n}.1/24`, `2a00:2:${n}::1/64`],
    });
    inside.addRoute("0.0.0.0/0", `44.2.${n}.1`);
    inside.addRoute("::/0", `2a00:2:${n}::1`);
    return networks;
  }

  /** Swallows UDP from now on, or lets it pass. */
  block(blocked: boolean): void {
    for (const family of [AF_INET, AF_INET6]) {
      const [type, flags] = blocked ? [RTM_NEWRULE, NLM_F_CREATE] : [RTM_DELRULE, 0];
      const rule = new MessageWriter(type, flags | NLM_F_ACK)
        .u8(family).u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u8(FR_ACT_BLACKHOLE).u32(0)
        .attributeU32(FRA_PRIORITY, PRIORITY)
        .attribute(FRA_IP_PROTO, Uint8Array.of(UDP));
      this.host.settings.netlink.request("change a routing rule", rule, {});
    }
  }
}
