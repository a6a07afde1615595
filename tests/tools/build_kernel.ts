/**
 * Builds the WebAssembly of `lib/kernel/assembly/` and writes it to `lib/kernel/kernel_wasm.ts`,
 * which is committed. A test holds the committed bytes to what the sources build, so nothing opaque
 * is in the tree.
 *
 *     deno task kernel
 *
 * @module
 */
import { createHash } from "node:crypto";
import { main as compile } from "assemblyscript/asc";

const ASSEMBLY = new URL("../../lib/kernel/assembly/", import.meta.url);
const OUTPUT = new URL("../../lib/kernel/kernel_wasm.ts", import.meta.url);
const BASE64_LINE = 96; // keeps the committed file within the formatter's line width

/**
 * No runtime, no static data: what comes out computes on the memory and nothing else, but that
 * PACKET has AES from who instantiates it.
 */
const COMMON = ["-O3", "--noAssert", "--runtime", "stub", "--use", "abort=", "--enable", "simd"];
const MODULES = {
  // The instantiator brings the memory and so decides its size.
  PACKET: ["packet.ts", "--importMemory", "--initialMemory", "1"],
  // The instantiator brings the memory here too. Relaxed swizzles are one instruction where strict ones are two.
  AES: ["gmac_siv.ts", "--importMemory", "--initialMemory", "1", "--enable", "relaxed-simd"],
  // 2 MiB and a page for the digest and the keystream; the module brings its own.
  WORK: ["work.ts", "--initialMemory", "33", "--maximumMemory", "33"],
};

async function build(entry: string, options: string[]): Promise<Uint8Array> {
  let wasm: Uint8Array | undefined;
  const { error, stderr } = await compile([entry, "--outFile", "out.wasm", ...COMMON, ...options], {
    readFile: (name) => {
      try {
        return Deno.readTextFileSync(new URL(name, ASSEMBLY));
      } catch {
        return null; // the compiler also asks for places a module could be in
      }
    },
    writeFile: (_name, contents) => {
      if (contents instanceof Uint8Array) wasm = contents;
    },
    listFiles: () => [],
  });
  if (error || !wasm) throw new Error(`${entry}: ${stderr.toString()}`);
  return wasm;
}

function sourcesHash(): string {
  const names = [...Deno.readDirSync(ASSEMBLY)].map((entry) => entry.name)
    .filter((name) => name.endsWith(".ts")).sort();
  const hash = createHash("sha256");
  for (const name of names) hash.update(name).update(Deno.readFileSync(new URL(name, ASSEMBLY)));
  return hash.digest("hex");
}

function base64Constant(name: string, wasm: Uint8Array): string {
  const text = btoa(String.fromCharCode(...wasm));
  const lines = text.match(new RegExp(`.{1,${BASE64_LINE}}`, "g")) ?? [];
  return `export const ${name}_WASM = \`\n${lines.join("\n")}\n\`;\n`;
}

/** The whole text of `kernel_wasm.ts`. */
export async function buildKernel(): Promise<string> {
  const parts = [
    "/**\n * Built from `assembly/` by `deno task kernel`; do not edit. Base64 of the modules, white space to be ignored.\n" +
    " * @module\n */\n",
    `/** SHA-256 of the sources, names and contents in order of name. */\n` +
    `export const SOURCES_SHA256 = "${sourcesHash()}";\n`,
  ];
  for (const [name, [entry, ...options]] of Object.entries(MODULES)) {
    const wasm = await build(entry, options);
    parts.push(`/** ${entry}: ${wasm.length} bytes. */\n${base64Constant(name, wasm)}`);
  }
  return parts.join("\n");
}

if (import.meta.main) {
  Deno.writeTextFileSync(OUTPUT, await buildKernel());
}
