/**
 * Static files of `<home>/app`, for a user interface in the browser. Off unless `enableWebServer` is set.
 *
 * Source: spec 06 section 4.9.
 * @module
 */
import { type ApiResponse, NOT_FOUND } from "./response.ts";

const TYPES: Record<string, string> = {
  css: "text/css",
  gif: "image/gif",
  html: "text/html",
  ico: "image/x-icon",
  jpg: "image/jpeg",
  js: "text/javascript",
  json: "application/json",
  png: "image/png",
  svg: "image/svg+xml",
  txt: "text/plain",
  wasm: "application/wasm",
  woff2: "font/woff2",
};

/**
 * @param path "/app" or something below it, still percent-encoded
 * @param read Reads a file below `<home>/app`
 */
export function answerWebApp(
  path: string,
  read: (path: string) => Uint8Array | undefined,
): ApiResponse {
  const relative = safePath(path.slice("/app".length));
  if (relative === undefined) return NOT_FOUND;
  if (relative === "" || relative === "/") return file("index.html", read) ?? NOT_FOUND;
  const [, name, ...below] = relative.split("/");
  if (/^[A-Za-z0-9_|-]+$/.test(name)) {
    if (below.length === 0) {
      return file(`${name}.html`, read) ??
        { status: 301, body: "", headers: { Location: `/app/${name}/` } };
    }
    // One page answers for every path below it: it routes by itself.
    if (below.at(-1) === "") return file(`${name}/index.html`, read) ?? { status: 500, body: "" };
  }
  return file(relative.slice(1), read) ?? NOT_FOUND;
}

/** @returns undefined for a path that could leave the folder */
function safePath(encoded: string): string | undefined {
  let path: string;
  try {
    path = decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
  if (/[\0\\]/.test(path)) return undefined;
  return path.split("/").some((part) => part === ".." || part === ".") ? undefined : path;
}

function file(
  path: string,
  read: (path: string) => Uint8Array | undefined,
): ApiResponse | undefined {
  const body = read(path);
  if (!body) return undefined;
  return { status: 200, contentType: TYPES[path.split(".").at(-1) ?? ""], body };
}
