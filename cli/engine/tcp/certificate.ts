/**
 * A certificate that says nothing: TLS is only the coat a tunnel wears, who is who is proved
 * inside. Made anew at each start, so there is no key to keep.
 *
 * Source: X.690 (DER), RFC 5280 section 4.1; signature ecdsa-with-SHA256 on P-256.
 * @module
 */
import { Buffer } from "node:buffer";
import { generateKeyPairSync, sign } from "node:crypto";

const DAY_MS = 86_400_000;
const BACKDATED_MS = DAY_MS; // for clients whose clock is behind
const LIFE_MS = 397 * DAY_MS; // the longest the public authorities give
const NAME = "localhost";

const Tag = {
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  OBJECT: 0x06,
  UTF8: 0x0c,
  UTC_TIME: 0x17,
  SEQUENCE: 0x30,
  SET: 0x31,
  VERSION: 0xa0,
  EXTENSIONS: 0xa3,
  DNS_NAME: 0x82,
} as const;

const ECDSA_WITH_SHA256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]; // 1.2.840.10045.4.3.2
const COMMON_NAME = [0x55, 0x04, 0x03]; // 2.5.4.3
const SUBJECT_ALT_NAME = [0x55, 0x1d, 0x11]; // 2.5.29.17

/** Both as PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/**
 * A self-signed certificate with a fresh key.
 * @param wallMs Milliseconds since the epoch
 * @param serial 8 random bytes
 */
export function makeCertificate(wallMs: number, serial: Uint8Array): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
  const algorithm = der(Tag.SEQUENCE, der(Tag.OBJECT, ECDSA_WITH_SHA256));
  const name = der(
    Tag.SEQUENCE,
    der(
      Tag.SET,
      der(Tag.SEQUENCE, der(Tag.OBJECT, COMMON_NAME), der(Tag.UTF8, ascii(NAME))),
    ),
  );
  const alternative = der(Tag.SEQUENCE, der(Tag.DNS_NAME, ascii(NAME)));
  const extension = der(
    Tag.SEQUENCE,
    der(Tag.OBJECT, SUBJECT_ALT_NAME),
    der(Tag.OCTET_STRING, alternative),
  );
  const body = der(
    Tag.SEQUENCE,
    der(Tag.VERSION, der(Tag.INTEGER, [2])), // version 3
    der(Tag.INTEGER, positive(serial)),
    algorithm,
    name, // issuer
    der(Tag.SEQUENCE, time(wallMs - BACKDATED_MS), time(wallMs - BACKDATED_MS + LIFE_MS)),
    name, // subject
    spki,
    der(Tag.EXTENSIONS, der(Tag.SEQUENCE, extension)),
  );
  const signature = new Uint8Array(sign("sha256", body, privateKey));
  const whole = der(Tag.SEQUENCE, body, algorithm, der(Tag.BIT_STRING, [0], signature));
  return {
    cert: pem("CERTIFICATE", whole),
    key: String(privateKey.export({ type: "pkcs8", format: "pem" })),
  };
}

/** Tag, length, contents. */
function der(tag: number, ...contents: readonly ArrayLike<number>[]): Uint8Array {
  let length = 0;
  for (const content of contents) length += content.length;
  const header = length < 0x80
    ? [tag, length]
    : length < 0x100
    ? [tag, 0x81, length]
    : [tag, 0x82, length >> 8, length & 0xff];
  const encoded = new Uint8Array(header.length + length);
  encoded.set(header);
  let at = header.length;
  for (const content of contents) {
    encoded.set(content, at);
    at += content.length;
  }
  return encoded;
}

/** An integer above 0 without a leading zero. */
function positive(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  copy[0] = (copy[0] & 0x7f) | 0x40;
  return copy;
}

/** YYMMDDHHMMSSZ: enough until 2049. */
function time(wallMs: number): Uint8Array {
  const text = new Date(wallMs).toISOString().replace(/[-:T]/g, "").slice(2, 14);
  return der(Tag.UTC_TIME, ascii(`${text}Z`));
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function pem(label: string, bytes: Uint8Array): string {
  const lines = Buffer.from(bytes).toString("base64").match(/.{1,64}/g)!;
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}
