/**
 * The reference: a daemon built elsewhere, named by the environment variable `ZT_REFERENCE` (the path of its
 * `zerotier-one`). Without it every interop test reports itself as ignored.
 * @module
 */
const REFERENCE = Deno.env.get("ZT_REFERENCE") ?? "";

/** Whether there is a reference to test against, and we may make namespaces. */
export const isReferencePresent = REFERENCE !== "" && Deno.uid() === 0;

/** Path of the reference's program. @throws {Error} where there is none */
export function referencePath(): string {
  if (REFERENCE === "") throw new Error("ZT_REFERENCE does not name the reference's zerotier-one");
  return REFERENCE;
}

/** One scenario; ignored, visibly, where there is no reference or no root. */
export function interopTest(name: string, run: (t: Deno.TestContext) => Promise<void>): void {
  Deno.test({
    name: isReferencePresent ? name : `${name} (needs ZT_REFERENCE and root)`,
    ignore: !isReferencePresent,
    fn: run,
  });
}
