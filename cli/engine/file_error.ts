/**
 * Why the system refused a file, in few words.
 * @module
 */
import { messageOf } from "../../lib/base/errors.ts";

/**
 * The reason alone: "Not a directory (os error 20)" of "Not a directory (os error 20): stat
 * '/path'", for the caller names the path.
 */
export function fileReason(error: unknown): string {
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  return messageOf(error).replace(/: [a-z]+ '.*$/s, "");
}
