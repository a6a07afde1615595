/**
 * Figures one below the other.
 * @module
 */
import { short } from "../table.ts";

/** One figure. */
export interface Line {
  readonly name: string;
  readonly title: string;
  readonly value: number;
  readonly unit: string;
  /** What it must not be above, if anything is demanded. */
  readonly most?: number;
}

/** Whether a figure is what is demanded of it. */
export function isMet({ value, most }: Line): boolean {
  return most === undefined || value <= most;
}

/** The figures as a table. */
export function renderLines(lines: readonly Line[]): string {
  const titleWidth = Math.max(...lines.map(({ title }) => title.length));
  const unitWidth = Math.max(...lines.map(({ unit }) => unit.length));
  return lines.map((line) => {
    const { title, value, unit, most } = line;
    const demand = most === undefined
      ? ""
      : `  at most ${short(most)}${isMet(line) ? "" : "  MISSED"}`;
    const text = `${title.padEnd(titleWidth)}  ${short(value).padStart(8)} ${
      unit.padEnd(unitWidth)
    }`;
    return `${text}${demand}`.trimEnd();
  }).join("\n");
}
