/**
 * A benchmark's lines as text.
 * @module
 */
import type { Line, Spread } from "./figures.ts";

const DIGITS = 3; // significant ones: more would pretend

/** The table. @param base What ratios are to: "reference", or "raw" */
export function renderTable(lines: readonly Line[], base: "reference" | "raw"): string {
  const head = [
    "median (lowest..highest)",
    "",
    "zt",
    "reference",
    `zt/${base}`,
    "better",
    "raw veth",
  ];
  const rows = lines.map((line) => [
    line.title,
    line.unit,
    withRange(line.zt),
    withRange(line.reference),
    withRange(line.ratio),
    line.better,
    withRange(line.raw),
  ]);
  return renderRows([head, ...rows]);
}

/** Rows of as many cells each, in columns. */
export function renderRows(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const text = (row: readonly string[]) =>
    row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd();
  return rows.map(text).join("\n");
}

/** The median, and between which values it is; "-" for nothing. */
export function withRange(spread: Spread | undefined): string {
  if (!spread) return "-";
  const median = short(spread.median);
  return spread.count === 1 ? median : `${median} (${short(spread.min)}..${short(spread.max)})`;
}

/** A number in as many digits as mean something. */
export function short(value: number): string {
  if (value === 0) return "0";
  const digits = DIGITS - 1 - Math.floor(Math.log10(Math.abs(value)));
  return value.toFixed(Math.min(4, Math.max(0, digits)));
}
