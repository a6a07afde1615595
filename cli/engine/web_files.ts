/**
 * Reads what `/app` serves: files below `<home>/app`.
 *
 * Source: spec 06 section 4.9.
 * @module
 */
import { type Home, HomeError } from "./home.ts";

/**
 * @param path Below `app/`, already free of ".."; see `answerWebApp()`
 * @returns undefined when there is no such file, or it is a folder, or cannot be read
 */
export function readWebFile(home: Home, path: string): Uint8Array | undefined {
  try {
    return home.readBytes(`app/${path}`);
  } catch (error) {
    if (error instanceof HomeError) return undefined;
    throw error;
  }
}
