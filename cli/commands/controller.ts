/**
 * `zt controller`: this node as the authority of networks.
 * @module
 */
import { group } from "../command.ts";
import { controllerExport } from "./controller_export.ts";
import { controllerMember } from "./controller_member.ts";
import { controllerNetwork } from "./controller_network.ts";

/** `zt controller`. */
export const controller = group("controller", "Run networks of your own", [
  controllerNetwork,
  controllerMember,
  controllerExport,
])
  .example("zt controller network create --name office --ipv4 10.147.17.0/24")
  .example("zt controller member authorize 8056c2e21c000001 a0b1c2d3e4");
