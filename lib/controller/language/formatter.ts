/**
 * Writes a source anew with even layout; words, order and comments stay. The result compiles to the same rules.
 * @module
 */
import { assert } from "../../base/errors.ts";
import { compileSource, sourceToJson } from "./compiler.ts";
import { MATCHES } from "./vocabulary.ts";
import { type Block, type Comment, isWord, type Item, nest, tokenize, type Word } from "./words.ts";

const LINE_LENGTH_MAX = 80; // statements that fit stay on one line
const INDENT = "  ";

/** @throws `SourceError` when the source does not compile */
export function formatSource(source: string): string {
  const meaning = meaningOf(source);
  const { tokens, comments } = tokenize(source);
  const { items } = nest(tokens);
  const places = new Map(tokens.map((token, index) => [`${token.line}:${token.column}`, index]));
  const indexOf = (word: Word) => places.get(`${word.line}:${word.column}`)!;
  const formatted = new Layout(comments, indexOf).write(items);
  assert(meaningOf(formatted) === meaning, "laying out a source keeps its meaning");
  return formatted;
}

function meaningOf(source: string): string {
  const compiled = compileSource(source);
  return JSON.stringify([sourceToJson(compiled), [...compiled.tags]]);
}

/** Keywords whose block holds statements or definitions, one a line, rather than matches. */
const DEFINITIONS = new Set(["macro", "tag", "cap"]);
/** Words after the keyword that belong on its line. */
const HEAD_WORDS = new Map([["tee", 2], ["watch", 2], ["redirect", 1]]);
/** Words in a tag or capability that take others. */
const ENTRY_WORDS = new Map([["id", 1], ["enum", 2], ["flag", 2], ["include", 1]]);

class Layout {
  readonly #lines: string[] = [];
  #commentsDone = 0;
  #lastLine = 0; // of the source, of the word written last

  constructor(readonly comments: readonly Comment[], readonly indexOf: (word: Word) => number) {}

  write(items: readonly Item[]): string {
    this.#statements(items, "", "");
    this.#commentsBefore(Infinity, "");
    while (this.#lines[0] === "") this.#lines.shift();
    return this.#lines.length === 0 ? "" : `${this.#lines.join("\n")}\n`;
  }

  /** Comments that stand before a word: on their own lines, or behind the line they followed. */
  #commentsBefore(tokenIndex: number, indent: string): void {
    while (this.#commentsDone < this.comments.length) {
      const comment = this.comments[this.#commentsDone];
      if (comment.after > tokenIndex) break;
      this.#commentsDone++;
      const text = comment.text.trimEnd();
      const last = this.#lines.length - 1;
      if (last >= 0 && comment.line === this.#lastLine && !this.#lines[last].includes("#")) {
        this.#lines[last] += ` ${text}`;
      } else {
        this.#blankLineBefore(comment.line);
        this.#lines.push(indent + text);
      }
      this.#lastLine = comment.line;
    }
  }

  /** One empty line is kept where there were some. */
  #blankLineBefore(line: number): void {
    if (line > this.#lastLine + 1 && this.#lines.length > 0 && this.#lines.at(-1) !== "") {
      this.#lines.push("");
    }
  }

  #line(words: readonly Word[], indent: string, end = ""): void {
    const [first] = words;
    this.#commentsBefore(this.indexOf(first), indent);
    this.#blankLineBefore(first.line);
    this.#lines.push(indent + words.map(({ text }) => text).join(" ") + end);
    this.#lastLine = words.at(-1)!.line;
  }

  #statements(items: readonly Item[], indent: string, inside: string): void {
    for (let i = 0; i < items.length; i++) {
      const word = items[i];
      if (!isWord(word)) continue;
      const next = items[i + 1];
      if (next !== undefined && !isWord(next)) {
        this.#block(word, next, indent);
        i++;
        continue;
      }
      const count = wordsAfter(word, inside);
      const words = [word, ...items.slice(i + 1, i + 1 + count).filter(isWord)];
      // A keyword with no block of its own ended the block around it, or the document: with its semicolon.
      this.#line(words, indent, MATCHLESS.has(word.text) && count === 0 ? ";" : "");
      i += words.length - 1;
    }
  }

  #block(keyword: Word, { items, lastLine }: Block, indent: string): void {
    if (DEFINITIONS.has(keyword.text)) {
      this.#line([keyword, ...items.slice(0, 1).filter(isWord)], indent);
      this.#statements(items.slice(1), indent + INDENT, keyword.text);
      this.#close(indent, lastLine);
      return;
    }
    const words = items.filter(isWord);
    const headLength = HEAD_WORDS.get(keyword.text) ?? 0;
    const matches = splitMatches(words.slice(headLength));
    const line = [keyword, ...words];
    const length = indent.length + line.reduce((sum, { text }) => sum + text.length + 1, 0);
    if (
      length <= LINE_LENGTH_MAX && matches.length <= 2 && !this.#hasCommentWithin(keyword, matches)
    ) {
      this.#line(line, indent, ";");
      this.#lastLine = lastLine;
      return;
    }
    this.#line([keyword, ...words.slice(0, headLength)], indent);
    for (const match of matches) this.#line(match, indent + INDENT);
    this.#close(indent, lastLine);
  }

  #close(indent: string, lastLine: number): void {
    const last = this.#lines.length - 1;
    // A comment at the end of a block stands inside of it.
    const next = this.comments[this.#commentsDone];
    if (next?.line === this.#lastLine && !this.#lines[last].includes("#")) {
      this.#commentsDone++;
      this.#lines[last] += ` ${next.text.trimEnd()}`;
    }
    this.#lines.push(`${indent};`);
    this.#lastLine = lastLine;
  }

  /** Whether a comment has to stand before a match; one inside of the last is put behind the statement. */
  #hasCommentWithin(keyword: Word, matches: readonly Word[][]): boolean {
    const last = matches.at(-1);
    if (last === undefined) return false;
    const [from, to] = [this.indexOf(keyword), this.indexOf(last[0])];
    return this.comments.slice(this.#commentsDone).some(({ after }) => from < after && after <= to);
  }
}

const MATCHLESS = new Set(["drop", "accept", "break", "tee", "watch", "redirect", "priority"]);

function wordsAfter(word: Word, inside: string): number {
  if (inside === "cap" && word.text === "default") return 0;
  if (word.text === "default") return 1;
  return ENTRY_WORDS.get(word.text.toLowerCase()) ?? 0;
}

/** One list of words for each match, with the "and", "or" and "not" before it. */
function splitMatches(words: readonly Word[]): Word[][] {
  const matches: Word[][] = [];
  let current: Word[] = [];
  for (let i = 0; i < words.length; i++) {
    current.push(words[i]);
    const match = MATCHES.get(words[i].text.toLowerCase());
    if (!match) continue;
    current.push(...words.slice(i + 1, i + 1 + match.argumentCount));
    i += match.argumentCount;
    matches.push(current);
    current = [];
  }
  if (current.length > 0) matches.push(current);
  return matches;
}
