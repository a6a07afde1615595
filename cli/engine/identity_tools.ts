/**
 * What making and checking an identity takes on this machine, one key after the other on this
 * thread. A service that makes one has a worker for it.
 * @module
 */
import type { IdentityTools } from "./own_identity.ts";
import { machinePrimitives, machineRandom } from "./primitives.ts";
import { WorkKernel } from "../../lib/kernel/mod.ts";

/** A new kernel each time, when first asked to work: it holds 2 MiB. */
export function identityTools(): IdentityTools {
  let kernel: WorkKernel | undefined;
  return {
    primitives: machinePrimitives,
    random: machineRandom,
    work: (publicKey) => (kernel ??= new WorkKernel(machinePrimitives.sha512)).work(publicKey),
  };
}
