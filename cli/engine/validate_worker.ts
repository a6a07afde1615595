/**
 * The Worker that does proofs of work, so that nobody else waits for them: checks identities of
 * strangers and searches for new ones. Started and ended by `Validator`; talks in the messages
 * below. Identities travel encoded, since classes do not survive the way.
 * @module
 */
import { Reader, Writer } from "../../lib/base/bytes.ts";
import type { Address } from "../../lib/base/ids.ts";
import { Identity, SECRET_IDENTITY_LENGTH } from "../../lib/identity/identity.ts";
import { IdentitySearch, locallyValidate } from "../../lib/identity/work.ts";
import { WorkKernel } from "../../lib/kernel/mod.ts";
import { machinePrimitives } from "./primitives.ts";

/** What the Worker is asked. A ticket is the caller's number for a job. */
export type ValidateRequest =
  | { readonly kind: "validate"; readonly ticket: number; readonly identity: Uint8Array }
  | { readonly kind: "generate"; readonly ticket: number; readonly prefix?: string }
  | { readonly kind: "cancel"; readonly ticket: number };

/** What the Worker answers. */
export type ValidateReply =
  | { readonly kind: "validated"; readonly ticket: number; readonly valid: boolean }
  | {
    readonly kind: "progress";
    readonly ticket: number;
    readonly tries: number;
    readonly passed?: Address;
  }
  | { readonly kind: "generated"; readonly ticket: number; readonly identity: Uint8Array };

/** The part of a Worker's global scope used here; the compiler otherwise takes us for the main thread. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<ValidateRequest>) => void) | null;
  postMessage(message: ValidateReply, transfer?: Transferable[]): void;
}
const scope = self as unknown as WorkerScope;

const kernel = new WorkKernel(machinePrimitives.sha512);
const work = (publicKey: Uint8Array) => kernel.work(publicKey);
// Both are bounded by `Validator`, the only one who asks.
const validations: { ticket: number; identity: Uint8Array }[] = [];
const searches = new Map<number, IdentitySearch>();
let pumping = false;

scope.onmessage = ({ data: request }) => {
  if (request.kind === "validate") {
    validations.push(request);
  } else if (request.kind === "generate") {
    const random = (bytes: Uint8Array) => void crypto.getRandomValues(bytes);
    const { prefix } = request;
    const options = { primitives: machinePrimitives, random, work, prefix };
    searches.set(request.ticket, new IdentitySearch(options));
  } else {
    searches.delete(request.ticket);
  }
  if (!pumping) pump();
};

/** One check and one try of each search, then a look at the messages: a flood of one never starves the other. */
function pump(): void {
  const validation = validations.shift();
  if (validation) validate(validation.ticket, validation.identity);
  for (const [ticket, search] of searches) step(ticket, search);
  pumping = validations.length > 0 || searches.size > 0;
  if (pumping) setTimeout(pump, 0);
}

function validate(ticket: number, bytes: Uint8Array): void {
  const identity = Identity.decode(new Reader(bytes, "identity to validate"));
  scope.postMessage({ kind: "validated", ticket, valid: locallyValidate(identity, work) });
}

function step(ticket: number, search: IdentitySearch): void {
  const { tries, passed, identity } = search.step();
  if (!identity) {
    scope.postMessage({ kind: "progress", ticket, tries, passed });
    return;
  }
  searches.delete(ticket);
  const w = new Writer(SECRET_IDENTITY_LENGTH);
  identity.encodeSecret(w);
  scope.postMessage({ kind: "generated", ticket, identity: w.finish() });
}
