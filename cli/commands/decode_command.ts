/**
 * `zt decode`: words of the command line to what {@linkcode decodePacket} takes.
 * @module
 */
import { fromHex } from "../../lib/base/bytes.ts";
import { UsageError, WireError } from "../../lib/base/errors.ts";
import { type Call, command } from "../command.ts";
import type { DecodeKeys } from "./decode.ts";
import { fileReason } from "../engine/file_error.ts";
import { homeOf, render } from "./context.ts";
import type { Json } from "../engine/json.ts";

const FILE_MAX_BYTES = 65_536; // a datagram is smaller

/** `zt decode`. */
export const decode = command("decode [hex...]", "Show a captured packet field by field")
  .repeated("--file <file>", "a datagram in a file, as bytes")
  .option("--mine <identity>", "one end, with its secret: file or text (else this node's own)")
  .option("--theirs <identity>", "the other end: file or text")
  .option("--key <hex>", "what the two agreed on, 48 bytes, instead of identities")
  .example("zt decode --theirs peer.public 0f1e2d…")
  .note(
    "Give the UDP payload of each fragment, in any order. Without keys only what travels in the clear shows.",
  )
  .action(async (call) => {
    const datagrams = [...call.args.map(parseHex), ...call.texts("file").map(readDatagram)];
    if (datagrams.length === 0) {
      throw new UsageError("give a packet, in hexadecimal or with --file");
    }
    const [{ decodePacket, renderDecoded }, { Identity }, { machinePrimitives }, { PacketKernel }] =
      await Promise.all([
        import("./decode.ts"),
        import("../../lib/identity/identity.ts"),
        import("../engine/primitives.ts"),
        import("../../lib/kernel/mod.ts"),
      ]);
    const keys = keysOf(call, (text) => Identity.parse(text));
    const decoded = decodePacket({
      datagrams,
      keys,
      primitives: machinePrimitives,
      kernel: new PacketKernel(),
    });
    render(call, decoded as unknown as Json, () => renderDecoded(decoded));
  });

function keysOf(
  call: Call,
  parse: (text: string) => Extract<DecodeKeys, { kind: "identities" }>["mine"],
): DecodeKeys | undefined {
  const key = call.text("key");
  const theirs = call.text("theirs");
  if (key !== undefined) return { kind: "agreed", key: parseHex(key) };
  if (theirs === undefined) return undefined;
  const identity = (word: string) => {
    try {
      return parse(identityText(word));
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      throw new UsageError(`"${word.slice(0, 40)}" is not an identity: ${error.reason}`);
    }
  };
  const mine = call.text("mine") ?? homeOf(call).pathOf("identity.secret");
  return { kind: "identities", mine: identity(mine), theirs: identity(theirs) };
}

/** A literal has its address first; everything else names a file. */
function identityText(word: string): string {
  if (/^[0-9a-fA-F]{10}:/.test(word)) return word;
  return new TextDecoder().decode(readDatagram(word));
}

function parseHex(word: string): Uint8Array {
  try {
    return fromHex(word.replace(/[\s:]/g, ""));
  } catch {
    throw new UsageError(`"${word.slice(0, 40)}" is not hexadecimal`);
  }
}

function readDatagram(path: string): Uint8Array {
  try {
    const bytes = Deno.readFileSync(path);
    if (bytes.length <= FILE_MAX_BYTES) return bytes;
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${fileReason(error)}`);
  }
  throw new UsageError(`${path} is too large for a datagram`);
}
