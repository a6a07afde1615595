/**
 * Base64url without padding: the form in which a planet is typed on another machine.
 *
 * Source: RFC 4648 section 5.
 * @module
 */

/** Letters, digits, "-" and "_"; no padding. */
export function toBase64Url(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** @returns undefined when the text is not base64url; padding is accepted, white space around it is not */
export function fromBase64Url(text: string): Uint8Array | undefined {
  const body = text.replace(/={1,2}$/, "");
  if (!/^[A-Za-z0-9_-]*$/.test(body) || body.length % 4 === 1) return undefined;
  const binary = atob(body.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}
