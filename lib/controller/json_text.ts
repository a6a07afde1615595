/**
 * Reads a request body as JSON and says what is wrong with it in the reference's words, which tools show to people.
 *
 * The check walks the text with an explicit stack, so no nesting, however deep, exhausts ours; only text that passed is
 * handed to `JSON.parse`.
 *
 * Source: spec 05 section 9.1; wording from the recorded responses in `service-api.json`.
 * @module
 */
import type { JsonValue } from "./json.ts";

const DEPTH_MAX = 64; // protects the recursive helpers that compare and copy records

/** A request body that is not JSON. The message is the reference's description of the error. */
export class JsonTextError extends Error {
  override name = "JsonTextError";
}

/** @throws {JsonTextError} when the text is empty, malformed, or nested deeper than 64 levels */
export function parseJsonText(text: string): JsonValue {
  new Checker(text).check();
  return JSON.parse(text);
}

type Expect = "value" | "value or end" | "key" | "key or end" | "colon" | "comma or end" | "end";

const CONTEXT: Record<Expect, string> = {
  "value": "value",
  "value or end": "value",
  "key": "object key",
  "key or end": "object key",
  "colon": "object separator",
  "comma or end": "object",
  "end": "value",
};

const SPACE = /[ \t\r\n]*/y;
const LITERAL = /true|false|null/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// deno-lint-ignore no-control-regex -- JSON forbids raw control characters in strings
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
// deno-lint-ignore no-control-regex -- as above
const STRING_HEAD = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y;

class Checker {
  #at = 0;
  /** Where the reference's "last read" text begins: its last string or number, or the start. */
  #readFrom = 0;
  readonly #open: ("{" | "[")[] = [];

  constructor(readonly text: string) {}

  check(): void {
    let expect: Expect = "value";
    for (;;) {
      this.#match(SPACE);
      if (this.#at === this.text.length) {
        if (expect === "end") return;
        this.#fail(expect, "unexpected end of input");
      }
      expect = this.#step(expect);
    }
  }

  /** Takes one token and says what may follow. */
  #step(expect: Expect): Expect {
    const char = this.text[this.#at];
    switch (expect) {
      case "value":
        return this.#value(expect);
      case "value or end":
        return char === "]" ? this.#close() : this.#value(expect);
      case "key or end":
        if (char === "}") return this.#close();
        return this.#key(expect);
      case "key":
        return this.#key(expect);
      case "colon":
        if (char !== ":") this.#unexpected(expect);
        this.#at++;
        return "value";
      case "comma or end": {
        const inObject = this.#open.at(-1) === "{";
        if (char === (inObject ? "}" : "]")) return this.#close();
        if (char !== ",") this.#unexpected(expect);
        this.#at++;
        return inObject ? "key" : "value";
      }
      case "end":
        return this.#unexpected(expect);
    }
  }

  #key(expect: Expect): Expect {
    if (this.text[this.#at] !== '"') this.#unexpected(expect);
    this.#string(expect);
    return "colon";
  }

  #value(expect: Expect): Expect {
    const char = this.text[this.#at];
    if (char === "{" || char === "[") {
      this.#at++;
      this.#open.push(char);
      if (this.#open.length > DEPTH_MAX) this.#fail(expect, "nested too deeply");
      return char === "{" ? "key or end" : "value or end";
    }
    if (char === '"') this.#string(expect);
    else if (/[-0-9]/.test(char)) this.#number(expect);
    else if (!this.#match(LITERAL)) this.#unexpected(expect);
    return this.#open.length === 0 ? "end" : "comma or end";
  }

  #close(): Expect {
    this.#at++;
    this.#open.pop();
    return this.#open.length === 0 ? "end" : "comma or end";
  }

  #string(expect: Expect): void {
    this.#readFrom = this.#at;
    if (this.#match(STRING)) return;
    this.#match(STRING_HEAD);
    if (this.#at === this.text.length) this.#fail(expect, "invalid string: missing closing quote");
    const escape = this.text[this.#at] === "\\";
    this.#at++;
    this.#fail(
      expect,
      escape ? "invalid string: forbidden escape" : "invalid string: control character",
    );
  }

  #number(expect: Expect): void {
    this.#readFrom = this.#at;
    if (this.#match(NUMBER)) {
      const number = this.text.slice(this.#readFrom, this.#at);
      if (Number.isFinite(Number(number))) return;
      throw new JsonTextError(
        `[json.exception.out_of_range.406] number overflow parsing '${number}'`,
      );
    }
    this.#at++;
    this.#fail(expect, "invalid number; expected digit after '-'");
  }

  #match(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.text);
    if (match) this.#at = pattern.lastIndex;
    return match !== null;
  }

  /** A token that is fine by itself in the wrong place, or no token at all. */
  #unexpected(expect: Expect): never {
    const char = this.text[this.#at];
    this.#at++;
    if ("{}[]:,".includes(char)) this.#fail(expect, `unexpected '${char}'`);
    if (char === '"') this.#fail(expect, "unexpected string literal");
    if (/[-0-9]/.test(char)) this.#fail(expect, "unexpected number literal");
    this.#fail(expect, "invalid literal");
  }

  #fail(expect: Expect, problem: string): never {
    // The reference counts the character it could not read, so an early end lies one past the last one.
    const atEnd = this.#at === this.text.length &&
      (problem.endsWith("end of input") || problem.endsWith("closing quote"));
    const before = this.text.slice(0, this.#at);
    const line = before.split("\n").length;
    const column = before.length - (before.lastIndexOf("\n") + 1) + (atEnd ? 1 : 0);
    const inArray = this.#open.at(-1) === "[";
    const context = expect === "comma or end" && inArray ? "array" : CONTEXT[expect];
    const readsToken = problem.startsWith("invalid");
    const last = readsToken ? `; last read: '${this.text.slice(this.#readFrom, this.#at)}'` : "";
    throw new JsonTextError(
      `[json.exception.parse_error.101] parse error at line ${line}, column ${column}: syntax error ` +
        `while parsing ${context} - ${problem}${last}${this.#expected(expect, problem)}`,
    );
  }

  #expected(expect: Expect, problem: string): string {
    switch (expect) {
      case "key":
      case "key or end":
        return "; expected string literal";
      case "colon":
        return "; expected ':'";
      case "comma or end":
        return `; expected '${this.#open.at(-1) === "{" ? "}" : "]"}'`;
      case "end":
        return "; expected end of input";
      default:
        return problem.startsWith("unexpected") ? "; expected '[', '{', or a literal" : "";
    }
  }
}
