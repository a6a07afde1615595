/**
 * Changes a text file where it is: it may be a link, mounted there, or watched by others, so a renamed copy will not do.
 * @module
 */
import { utf8 } from "../../../lib/base/bytes.ts";

const NEWLINE = 0x0a;

/**
 * Writes a new text over the old one. The file is never cut first: whenever the process is killed, it holds the old text
 * or the new one, with newlines after it at most. So it is for a text of up to a page, 4 KB on most machines; a write of
 * more may end between two.
 * @param path Of a file that is there
 * @throws {Error} when the disk or the permissions say no; the old text is then there still
 */
export function rewriteText(path: string, text: string): void {
  const file = Deno.openSync(path, { read: true, write: true });
  try {
    const before = new Uint8Array(file.statSync().size);
    readAll(file, before);
    const bytes = utf8(text);
    const padded = new Uint8Array(Math.max(bytes.length, before.length)).fill(NEWLINE);
    padded.set(bytes);
    try {
      writeAll(file, padded);
    } catch (error) { // a full disk
      writeAll(file, before);
      file.truncateSync(before.length);
      throw error;
    }
    file.truncateSync(bytes.length);
  } finally {
    file.close();
  }
}

function readAll(file: Deno.FsFile, into: Uint8Array): void {
  for (let at = 0; at < into.length;) {
    const count = file.readSync(into.subarray(at));
    if (count === null) return;
    at += count;
  }
}

/** From the start of the file. */
function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  file.seekSync(0, Deno.SeekMode.Start);
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}
