/**
 * The switches of `zerotier-cli`: values are attached, they may stand anywhere, and what is wrong with one decides
 * between two exit codes. No parser library does that; the rules are the reference's.
 *
 * Source: spec 06 section 5.
 * @module
 */

/** Switches and words of one call. */
export interface CompatSwitches {
  json: boolean;
  home?: string;
  host: string;
  port?: number;
  token?: string;
  words: string[];
}

/** What a switch alone settles. */
export type CompatVerdict = { print: "help" | "version"; exit: number };

/** @returns the switches, or what to print and the exit code when one of them settles it */
export function parseCompatSwitches(argv: readonly string[]): CompatSwitches | CompatVerdict {
  const switches: CompatSwitches = { json: false, host: "127.0.0.1", words: [] };
  for (const word of argv) {
    if (!word.startsWith("-")) {
      switches.words.push(word);
      continue;
    }
    const verdict = takeSwitch(switches, word[1] ?? "", word.slice(2));
    if (verdict) return verdict;
  }
  return switches;
}

const BAD_VALUE: CompatVerdict = { print: "help", exit: 1 };

function takeSwitch(
  switches: CompatSwitches,
  letter: string,
  value: string,
): CompatVerdict | undefined {
  switch (letter) {
    case "v":
      return value === "" ? { print: "version", exit: 0 } : BAD_VALUE;
    case "j":
      switches.json = true;
      return value === "" ? undefined : BAD_VALUE;
    case "D":
      switches.home = value;
      return value === "" ? BAD_VALUE : undefined;
    case "H":
      switches.host = value;
      return value === "" ? BAD_VALUE : undefined;
    case "T":
      switches.token = value;
      return value === "" ? BAD_VALUE : undefined;
    case "p":
      switches.port = Number(value);
      return /^\d{1,5}$/.test(value) && switches.port >= 1 && switches.port <= 65_535
        ? undefined
        : BAD_VALUE;
    default:
      return { print: "help", exit: 0 };
  }
}
