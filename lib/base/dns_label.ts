/**
 * Labels of domain names: letters, digits and hyphens, as RFC 1123 has host names.
 * @module
 */

/** Longest label, in bytes. */
export const DNS_LABEL_LENGTH_MAX = 63;

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const TEXT_LENGTH_MAX = 1_024; // what is looked at of a name: bounds the work on one that somebody typed into an API

/** Whether text is one label in lower case. */
export function isDnsLabel(text: string): boolean {
  return LABEL.test(text);
}

/**
 * A name people gave something, as a label: accents dropped, lower case, everything else a hyphen. As hyphens come
 * singly, none comes out that begins with `xn--` and means other letters.
 * @returns "" when nothing is left
 */
export function toDnsLabel(text: string): string {
  const plain = text.slice(0, TEXT_LENGTH_MAX).normalize("NFKD").replace(/\p{M}+/gu, "")
    .toLowerCase();
  return trim(trim(plain.replace(/[^a-z0-9]+/g, "-")).slice(0, DNS_LABEL_LENGTH_MAX));
}

function trim(label: string): string {
  return label.replace(/^-|-$/g, "");
}
