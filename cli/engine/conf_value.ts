/**
 * One value of `local.conf`, read as leniently as the reference does, and refused by its name when
 * it cannot mean anything.
 *
 * Source: coercions of spec 05 section 7.1.
 * @module
 */
import { HomeError } from "./home.ts";
import type { Json } from "./json.ts";

/** One value, its place remembered for the error. */
export class Value {
  constructor(readonly where: string, readonly value: Json | undefined) {}

  #fail(wanted: string): never {
    throw new HomeError(`local.conf: ${this.where} must be ${wanted}`);
  }

  /** Also from numbers (above 0) and text ("true", "t", "1"). */
  flag(missing: boolean): boolean {
    const { value } = this;
    if (value === undefined || value === null) return missing;
    if (typeof value === "boolean") return value;
    if (typeof value === "number") return value > 0;
    return typeof value === "string" ? /^[tT1]/.test(value) : this.#fail("true or false");
  }

  /** Also from text and booleans; fractions are cut. */
  integer(missing: number): number {
    const { value } = this;
    if (value === undefined || value === null) return missing;
    if (typeof value === "boolean") return value ? 1 : 0;
    const number = typeof value === "string" ? Number(value.trim() || NaN) : value;
    return typeof number === "number" && number >= 0 && number <= Number.MAX_SAFE_INTEGER
      ? Math.trunc(number)
      : this.#fail("a number from 0");
  }

  port(missing: number): number {
    const port = this.integer(missing);
    return port <= 65_535 ? port : this.#fail("a port from 0 to 65535");
  }

  unsigned64(): bigint {
    const { value } = this;
    const number = typeof value === "bigint" ? value : BigInt(this.integer(0));
    return number >= 0n && number < 1n << 64n ? number : this.#fail("a number of 64 bits");
  }

  text(missing: string): string {
    const { value } = this;
    if (value === undefined || value === null) return missing;
    return typeof value === "string" ? value : this.#fail("text");
  }

  parsed<T>(parse: (text: string) => T | undefined, wanted: string): T | undefined {
    const text = this.text("");
    if (text === "") return undefined;
    return parse(text) ?? this.#fail(wanted);
  }

  list<T>(parse: (text: string) => T | undefined, wanted: string): T[] {
    const { value } = this;
    if (value === undefined || value === null) return [];
    if (!Array.isArray(value)) return this.#fail(`a list, each ${wanted}`);
    return value.map((item) => {
      const parsed = typeof item === "string" ? parse(item) : undefined;
      return parsed ?? this.#fail(`a list, each ${wanted}`);
    });
  }
}
