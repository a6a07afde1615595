/**
 * Identities whose addresses cost the work they should: about 0.15 s of a core each.
 * @module
 */
import { Validator } from "../../../cli/engine/validator.ts";

/** @returns identities with their secrets, as text */
export async function makeIdentities(count: number): Promise<string[]> {
  const found: string[] = [];
  const makers = Array.from({ length: navigator.hardwareConcurrency }, () => new Validator());
  try {
    await Promise.all(makers.map(async (maker) => {
      while (found.length < count) found.push((await maker.generate()).formatSecret());
    }));
  } finally {
    for (const maker of makers) maker.close();
  }
  return found.slice(0, count);
}
