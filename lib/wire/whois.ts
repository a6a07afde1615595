/**
 * WHOIS (verb 0x04): what is the identity behind these addresses? Asked of roots.
 *
 *     offset  bytes   field
 *     0       5 each  addresses; a rest of fewer than five bytes is ignored
 *
 * OK(WHOIS), after the nine bytes of `ok.ts`:
 *
 *     offset  bytes    field
 *     0       71 each  identities that are known. The reference reads the first only: ask one address per packet
 *
 * Source: spec 02 section 10.5; reference `Packet.hpp`, `VERB_WHOIS`.
 * @module
 */
import { Reader, type Writer } from "../base/bytes.ts";
import type { Address } from "../base/ids.ts";
import { Identity } from "../identity/identity.ts";
import { type PartialList, readPartial } from "./partial.ts";

const ADDRESS_LENGTH = 5;

/** The addresses asked for; never throws. */
export function decodeWhois(payload: Uint8Array): Address[] {
  const r = new Reader(payload, "WHOIS");
  const addresses: Address[] = [];
  while (r.remaining >= ADDRESS_LENGTH) addresses.push(r.address());
  return addresses;
}

export function encodeWhois(addresses: readonly Address[], w: Writer): void {
  for (const address of addresses) w.address(address);
}

/** Identities up to the first that cannot be read; never throws. */
export function decodeOkWhois(body: Uint8Array): PartialList<Identity> {
  const r = new Reader(body, "OK(WHOIS)");
  return readPartial(r, () => r.remaining > 0, (r) => Identity.decode(r).publicOnly());
}

export function encodeOkWhois(identities: readonly Identity[], w: Writer): void {
  for (const identity of identities) identity.encode(w);
}
