/**
 * Where a planet comes from when a user names one: a file, a URL, or the text `zt planet create` printed.
 * @module
 */
import { ApiError, messageOf, UsageError } from "../../lib/base/errors.ts";
import { fromBase64Url } from "../engine/base64.ts";

// One without roots: type, id, timestamp, key, signature, count; and what is shorter is a word
const PLANET_MIN_BYTES = 178;
const PLANET_MAX_BYTES = 8_480; // upper bound of a serialized world (spec 01 section 9.1)
const FETCH_PATIENCE_MS = 15_000;

/**
 * @returns the bytes found; whether they are a planet is for the caller to see
 * @throws {UsageError} when the word is neither a file, a URL nor base64url
 * @throws {ApiError} when a URL does not answer with a file
 */
export async function loadPlanetSource(source: string): Promise<Uint8Array> {
  if (/^https?:\/\//.test(source)) return textOrBytes(await fetchBounded(source));
  const file = readFileIfAny(source);
  if (file) return textOrBytes(file);
  const bytes = fromBase64Url(source.trim());
  if (bytes && bytes.length >= PLANET_MIN_BYTES) return bytes;
  throw new UsageError(
    `"${source.slice(0, 60)}" is neither a file, a URL nor the text of a planet`,
  );
}

/** A file may hold the planet, or the text of one. */
function textOrBytes(content: Uint8Array): Uint8Array {
  const text = new TextDecoder().decode(content).trim();
  return /^[A-Za-z0-9_=-]{100,}$/.test(text) ? fromBase64Url(text) ?? content : content;
}

function readFileIfAny(path: string): Uint8Array | undefined {
  try {
    const { isFile, size } = Deno.statSync(path);
    if (!isFile) throw new UsageError(`${path} is not a file`);
    if (size > 2 * PLANET_MAX_BYTES) throw new UsageError(`${path} is too large for a planet`);
    return Deno.readFileSync(path);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new UsageError(`${path} cannot be read: permission denied`);
    }
    return undefined; // no such file: it may be the text of a planet, which can be longer than a file name
  }
}

async function fetchBounded(url: string): Promise<Uint8Array> {
  let response: Response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(FETCH_PATIENCE_MS) });
  } catch (error) {
    throw new ApiError(
      0,
      `${url} does not answer: ${messageOf(error)}`,
    );
  }
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    throw new ApiError(response.status, `${url} answered ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let lengthBytes = 0;
  for await (const chunk of response.body) {
    lengthBytes += chunk.length;
    if (lengthBytes > 2 * PLANET_MAX_BYTES) {
      throw new ApiError(200, `${url} is too large for a planet`);
    }
    chunks.push(chunk);
  }
  return new Uint8Array(await new Blob(chunks as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}
