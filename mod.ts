/**
 * The ZeroTier protocol as a library: a node, root and controller as state machines without input
 * or output. Hand a `Node` datagrams, frames, commands and the time; carry out the actions it hands
 * back.
 * @module
 */
export * from "./lib/base/mod.ts";
export { noblePrimitives } from "./lib/crypto/noble.ts";
export type { Primitives, Random } from "./lib/crypto/primitives.ts";
export { defaultPlanet } from "./lib/identity/default_planet.ts";
export { Identity } from "./lib/identity/identity.ts";
export { generateIdentity, locallyValidate } from "./lib/identity/work.ts";
export {
  decodeWorld,
  encodeWorld,
  signWorld,
  type World,
  WorldType,
} from "./lib/identity/world.ts";
export { PacketKernel, WorkKernel } from "./lib/kernel/mod.ts";
export { Controller } from "./lib/controller/mod.ts";
export * from "./lib/node/machine.ts";
export { Node } from "./lib/node/node.ts";
