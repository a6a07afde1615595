/**
 * Text that must fit a number of bytes on the wire.
 * @module
 */
import { utf8 } from "./bytes.ts";

/** Cuts text so that its UTF-8 form has at most `lengthMax` bytes, never inside a character. */
export function cutText(text: string, lengthMax: number): string {
  if (utf8(text).length <= lengthMax) return text;
  let cut = "";
  let length = 0;
  for (const character of text) {
    length += utf8(character).length;
    if (length > lengthMax) break;
    cut += character;
  }
  return cut;
}
