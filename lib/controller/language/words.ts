/**
 * From text to words and nested blocks, exactly as the reference cuts them, so that a source means the same to both.
 *
 * Source: spec 04b section 4.1.
 * @module
 */
import { SourceError, type Span, type Warning } from "./diagnostic.ts";

/** A word; arguments, names and keywords alike. */
export interface Word extends Span {
  readonly text: string;
}

/** A keyword's contents, up to its semicolon. */
export interface Block {
  readonly items: readonly Item[];
  /** Line of the semicolon that closed it, or of the last word of the text */
  readonly lastLine: number;
}

export type Item = Word | Block;

/** A word as it stands in the text. */
export interface Token extends Word {
  /** A semicolon ended it. The text, without it, may be empty */
  readonly closes: boolean;
  /** The text ends with it, without so much as a line break */
  readonly endsText: boolean;
}

/** From "#" at the start of a word to the end of the line. */
export interface Comment extends Span {
  /** With its "#" */
  readonly text: string;
  /** How many tokens stand before it */
  readonly after: number;
}

/** Longest source taken, in characters: bounds work and memory; 1024 rules take about 40,000. */
export const SOURCE_LENGTH_MAX = 1_000_000;

/** Words after which a block begins, exactly so spelt. */
const BLOCK_KEYWORDS = new Set([
  "macro",
  "tag",
  "cap",
  "drop",
  "accept",
  "tee",
  "watch",
  "redirect",
  "break",
  "priority",
]);
/** Those of them that mean something with nothing following. */
const MATCHLESS_KEYWORDS = new Set(["drop", "accept", "break"]);

export function isWord(item: Item | undefined): item is Word {
  return item !== undefined && "text" in item;
}

/** @throws {SourceError} when the text is too long */
export function tokenize(source: string): { tokens: Token[]; comments: Comment[] } {
  if (source.length > SOURCE_LENGTH_MAX) {
    const problem = `the text has ${source.length} characters, more than ${SOURCE_LENGTH_MAX}`;
    throw new SourceError({ line: 1, column: 1, length: 0 }, problem);
  }
  const tokens: Token[] = [];
  const comments: Comment[] = [];
  let line = 1;
  let lineStart = 0;
  for (const match of source.matchAll(/\n|#[^\r\n]*|[^ \t\r\n]+/g)) {
    const [text] = match;
    const column = match.index - lineStart + 1;
    if (text === "\n") {
      line++;
      lineStart = match.index + 1;
    } else if (text.startsWith("#")) {
      comments.push({ text, line, column, length: text.length, after: tokens.length });
    } else {
      const closes = text.endsWith(";");
      const word = closes ? text.slice(0, -1) : text;
      const endsText = match.index + text.length === source.length;
      tokens.push({ text: word, closes, endsText, line, column, length: Math.max(word.length, 1) });
    }
  }
  return { tokens, comments };
}

/** The words of a source, nested. */
export interface Blocks {
  readonly items: readonly Item[];
  readonly warnings: readonly Warning[];
}

/**
 * Nests words. A block keyword opens a block, whatever follows; a semicolon closes the innermost
 * one unless nothing is in it. So "accept;" without matches closes the block around it. Quirk kept
 * for equal meaning, with a warning where it surprises.
 * @throws {SourceError} when the text ends where the reference would silently forget what went before
 */
export function nest(tokens: readonly Token[]): Blocks {
  const document: Item[] = [];
  const stack: { items: Item[]; keyword: Word }[] = [];
  const warnings: Warning[] = [];
  const top = () => stack.at(-1)?.items ?? document;
  const pop = (lastLine: number) => {
    const { items } = stack.pop()!;
    top().push({ items, lastLine });
  };
  for (const [index, token] of tokens.entries()) {
    const { text, closes, line, column, length } = token;
    if (text !== "") top().push({ text, line, column, length });
    if (token.endsText && text !== "") break; // quirk: such a word opens and closes nothing
    if (closes && stack.length > 0 && top().length > 0) {
      const closed = stack.at(-1)!.keyword;
      if (MATCHLESS_KEYWORDS.has(text)) {
        warnings.push(...earlyEnd(token, closed, tokens[index + 1]));
      }
      pop(line);
    } else if (text === "") {
      extendLast(top(), line);
    } else if (BLOCK_KEYWORDS.has(text)) {
      stack.push({ items: [], keyword: token });
    }
  }
  while (stack.length > 0 && top().length > 0) pop(tokens.at(-1)!.line);
  if (stack.length > 1) throw unclosed(stack.at(-1)!.keyword, stack.at(-2)!.keyword);
  return { items: document, warnings };
}

/** A semicolon with nothing to close belongs to the block before it, which "accept;" ended. */
function extendLast(items: Item[], lastLine: number): void {
  const last = items.at(-1);
  if (last !== undefined && !isWord(last)) items[items.length - 1] = { ...last, lastLine };
}

function earlyEnd(token: Token, closed: Word, next: Token | undefined): Warning[] {
  if (next === undefined || (next.text === "" && next.closes)) return [];
  const { line, column, length, text } = token;
  const message =
    `"${text};" without matches ends the ${closed.text} of line ${closed.line}: what ` +
    `follows is outside of it (put it last, and ";" on a line of its own after it)`;
  return [{ line, column, length, message }];
}

function unclosed(keyword: Word, around: Word): SourceError {
  const problem =
    `nothing follows "${keyword.text}", and the ${around.text} of line ${around.line} ` +
    `is not closed`;
  return new SourceError(keyword, problem, `";" right after "${keyword.text}", or matches`);
}
