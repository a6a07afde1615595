/**
 * Rules such as people write, to measure what filtering costs.
 * @module
 */

/** Lets everything pass: the data plane looks at no frame. */
export const ACCEPT_ALL = "accept;";

/** Where the streams and datagrams of a measurement go. */
const MEASURED_PORT = 5_001;
const SERVICES = [22, 25, 53, 80, 143, 443, 587, 993, 3306];

/**
 * An allow-list of 40 rules: ten services, echoes, then everything but new connections. A stream
 * that is measured goes to the last of the services, its answers and datagrams pass by the last
 * rule.
 */
export const ALLOW_LIST = [
  "drop not ethertype ipv4 and not ethertype arp and not ethertype ipv6;",
  ...SERVICES.map((port) => `accept ipprotocol tcp and dport ${port};`),
  `accept ipprotocol tcp and dport ${MEASURED_PORT};`,
  "accept icmp 8 -1;",
  "break chr tcp_syn and not chr tcp_ack;",
  "accept;",
].join("\n");
