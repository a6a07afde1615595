/** A process that changes a file between two texts until it is killed: path, a text, another. */
import { rewriteText } from "../../../../../cli/engine/dns/rewrite_text.ts";

const [path, short, long] = Deno.args;
console.log("ready");
while (true) {
  rewriteText(path, long);
  rewriteText(path, short);
}
