/**
 * Text that comes in pieces, by line.
 * @module
 */

const LINE_LENGTH_MAX = 16 * 1024 * 1024; // bounds memory; a ping of a million round trips answers with that much

/**
 * The lines of a stream, without their ends; the last need not have one.
 * @throws {RangeError} when a line is beyond all bounds
 */
export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    rest += decoder.decode(bytes, { stream: true });
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
      yield rest.slice(0, end);
      rest = rest.slice(end + 1);
    }
    if (rest.length > LINE_LENGTH_MAX) throw new RangeError("a line is too long");
  }
  if (rest !== "") yield rest;
}
