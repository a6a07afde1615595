/**
 * A program that looks names up, run inside a lab host: asks a server, and prints what it says as
 * JSON, one array a question.
 *
 *     dns_asker.ts ask <server> <A|AAAA|PTR>:<name>...
 *     dns_asker.ts hold                 takes port 53 of all addresses, as another server would, and says "ready"
 *
 * A program of its own because sockets belong to the namespace of the process that opens them.
 * @module
 */
import { createSocket } from "node:dgram";
import { Resolver } from "node:dns/promises";

const [mode, server, ...questions] = Deno.args;
if (mode === "hold") {
  createSocket("udp4").bind(53, "0.0.0.0", () => console.log("ready"));
} else {
  const resolver = new Resolver();
  resolver.setServers([server]);
  const answers = await Promise.all(questions.map(async (question) => {
    const at = question.indexOf(":");
    try {
      const found = await resolver.resolve(question.slice(at + 1), question.slice(0, at));
      return (found as string[]).sort();
    } catch (error) {
      return [(error as { code?: string }).code ?? String(error)];
    }
  }));
  console.log(JSON.stringify(answers));
}
