/**
 * Places in a source text, and what is wrong there, shown with the line and a caret.
 * @module
 */

/** Part of a line. */
export interface Span {
  /** From 1 */
  readonly line: number;
  /** From 1, in UTF-16 units. The reference counts from 0 on the first line only; we do not */
  readonly column: number;
  /** 0 shows a single caret */
  readonly length: number;
}

/** Something the author of a text should look at. */
export interface Warning extends Span {
  readonly message: string;
}

/** A text that cannot be understood. */
export class SourceError extends Error {
  override name = "SourceError";

  /**
   * @param span Where
   * @param problem What is wrong, in words, without a full stop
   * @param expected What would be right, e.g. "a number from 0 to 255"
   */
  constructor(readonly span: Span, readonly problem: string, readonly expected?: string) {
    const wanted = expected === undefined ? "" : `; expected ${expected}`;
    super(`line ${span.line} column ${span.column}: ${problem}${wanted}`);
  }

  /** The message with its line and a caret, as a compiler prints it. */
  render(source: string, fileName: string): string {
    const lines = [`${fileName}:${this.span.line}:${this.span.column}: error: ${this.problem}`];
    lines.push(...excerpt(source, this.span));
    if (this.expected !== undefined) lines.push(`  expected ${this.expected}`);
    return lines.join("\n");
  }
}

/** A warning with its line and a caret. */
export function renderWarning(warning: Warning, source: string, fileName: string): string {
  const head = `${fileName}:${warning.line}:${warning.column}: warning: ${warning.message}`;
  return [head, ...excerpt(source, warning)].join("\n");
}

function excerpt(source: string, { line, column, length }: Span): string[] {
  const text = (source.split("\n")[line - 1] ?? "").replace(/\r$/, "");
  const margin = `${line}`.length;
  // Tabs stay tabs, so that the caret stands under its word however wide they are shown.
  const before = text.slice(0, column - 1).replace(/[^\t]/g, " ");
  return [
    `  ${line} | ${text}`,
    `  ${" ".repeat(margin)} | ${before}${"^".repeat(Math.max(length, 1))}`,
  ];
}

/** The candidate most like a word, if any is close enough to be a slip. */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  const limit = word.length <= 4 ? 1 : 2;
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

const WORD_LENGTH_MAX = 64; // bounds the work on one unknown word; names are shorter

/** Letters to insert, remove, replace or exchange with their neighbour. */
function editDistance(a: string, b: string): number {
  if (a.length > WORD_LENGTH_MAX || b.length > WORD_LENGTH_MAX) return Infinity;
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const [above, row] = [rows[i - 1], [i]];
    for (let j = 1; j <= b.length; j++) {
      const replaced = above[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, above[j] + 1, row[j - 1] + 1));
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) row[j] = Math.min(row[j], rows[i - 2][j - 2] + 1);
    }
    rows.push(row);
  }
  return rows[a.length][b.length];
}
