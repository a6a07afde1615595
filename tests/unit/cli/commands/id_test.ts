import assert from "node:assert/strict";
import { idTool, idToolHelp, type IdToolIo } from "../../../../cli/commands/id.ts";
import { machinePrimitives } from "../../../../cli/engine/primitives.ts";
import type { GenerateProgress } from "../../../../cli/engine/validator.ts";
import { fromHex, Reader, text, utf8 } from "../../../../lib/base/bytes.ts";
import { parseAddress } from "../../../../lib/base/ids.ts";
import { Identity, ownsSecret } from "../../../../lib/identity/identity.ts";
import { locallyValidate } from "../../../../lib/identity/work.ts";
import { decodeWorld, verifyWorld } from "../../../../lib/identity/world.ts";
import { WorkKernel } from "../../../../lib/kernel/mod.ts";
import { countVectors } from "../../../vectors/count.ts";
import { loadVectors } from "../../../vectors/load.ts";

interface Entry {
  name: string;
  argv: string[];
  stdout: string;
  stderr: string;
  exit: number;
}
const { entries } = loadVectors<{ entries: Entry[] }>("cli.json");
const recorded = entries.filter(({ argv }) => argv[0] === "zerotier-idtool" || argv[1] === "-i");

function entry(name: string): Entry {
  const found = recorded.find((candidate) => candidate.name === name);
  assert.ok(found, name);
  return found;
}

// The files of the recorded session, which are not in the recording, follow from what it printed.
const secretText = entry("idtool getpublic literal").argv[2];
const publicText = entry("idtool getpublic").stdout;
const initmoonOutput = entry("idtool initmoon").stdout;
const generatedText = entry("idtool generate stdout").stdout;
const RECORDED_FILES: Record<string, string> = {
  "i.secret": secretText,
  "i.public": publicText,
  "bad": publicText.replace(/.$/, "1"), // parses, but its address does not follow from its key
  "msg": "hello\n", // the message whose digest the recorded signature ends with
  "sig": entry("idtool sign").stdout,
  "moon.json": initmoonOutput,
  "moon3.json": initmoonOutput.replace('"worldType": "moon"', '"worldType": "x"'),
};

const kernel = new WorkKernel(machinePrimitives.sha512);

interface Bench extends IdToolIo {
  files: Map<string, Uint8Array>;
  secrets: Set<string>;
}

/** An io in memory; `random` and `generate` give what the recording shows. */
function bench(recording?: Entry): Bench {
  const files = new Map(Object.entries(RECORDED_FILES).map(([name, text]) => [name, utf8(text)]));
  const secrets = new Set<string>();
  return {
    program: "zerotier-idtool",
    primitives: machinePrimitives,
    files,
    secrets,
    random: (bytes) => bytes.set(fromHex(JSON.parse(initmoonOutput).signingKey_SECRET)),
    readFile: (name) => Promise.resolve(files.get(name)),
    writeFile: (name, contents, { secret }) => {
      files.set(name, contents);
      if (secret) secrets.add(name);
      return Promise.resolve();
    },
    wallMs: () => Number(/timestamp (\d+)/.exec(recording?.stdout ?? "")?.[1] ?? 5),
    validate: (identity) => Promise.resolve(locallyValidate(identity, (key) => kernel.work(key))),
    generate: (_options, onProgress) => {
      replayProgress(recording?.stderr ?? "", onProgress);
      const found = /found ([0-9a-f]{10})/.exec(recording?.stderr ?? "");
      const generated = Identity.parse(generatedText);
      if (!found) return Promise.resolve(generated);
      const { publicKey, secretKey } = generated;
      return Promise.resolve(
        new Identity({ address: parseAddress(found[1])!, publicKey, secretKey }),
      );
    },
  };
}

function replayProgress(stderr: string, onProgress: (progress: GenerateProgress) => void): void {
  let tries = 0;
  for (const [, address] of stderr.matchAll(/tried ([0-9a-f]{10})/g)) {
    onProgress({ tries: ++tries });
    onProgress({ tries: ++tries, passed: parseAddress(address) });
  }
}

Deno.test("idTool() prints and exits as recorded", async () => {
  for (const v of recorded) {
    const args = v.argv.slice(v.argv[0] === "zerotier-idtool" ? 1 : 2);
    const { stdout, stderr, exit } = await idTool(args, bench(v));
    assert.equal(exit, v.exit, v.name);
    assert.equal(stderr, v.stderr, v.name);
    const expected = v.stdout === "<help>" ? idToolHelp("zerotier-idtool") : v.stdout;
    assert.equal(stdout, expected, v.name);
  }
  countVectors("cli.json: idtool", recorded.length);
});

Deno.test("idTool() generate writes a secret for the owner alone and a public identity", async () => {
  const io = bench();
  await idTool(["generate", "a.secret", "a.public"], io);
  const secret = Identity.parse(text(io.files.get("a.secret")!));
  assert.ok(ownsSecret(machinePrimitives, secret));
  assert.equal(text(io.files.get("a.public")!), secret.format());
  assert.deepEqual([...io.secrets], ["a.secret"]);
});

Deno.test("idTool() generate hands progress over as it comes when somebody listens", async () => {
  const vanity = entry("idtool vanity 1 digit ok");
  const lines: string[] = [];
  const io = { ...bench(vanity), onProgress: (line: string) => lines.push(line) };
  const { stderr } = await idTool(vanity.argv.slice(1), io);
  assert.equal(lines.join(""), vanity.stderr);
  assert.equal(stderr, "");
});

Deno.test("idTool() generate refuses an impossible prefix and says when a file cannot be written", async () => {
  const impossible = await idTool(["generate", "a", "b", "ff"], bench());
  assert.deepEqual(impossible, { stdout: "", stderr: "no address starts with ff\n", exit: 1 });
  const io = { ...bench(), writeFile: () => Promise.reject(new Error("disk full")) };
  const full = await idTool(["generate", "a"], io);
  assert.deepEqual(full, { stdout: "", stderr: "a cannot be written: disk full\n", exit: 1 });
});

Deno.test("idTool() genmoon writes a moon that verifies", async () => {
  const io = bench();
  await idTool(["genmoon", "moon.json"], io);
  const [name] = [...io.files.keys()].filter((file) => file.endsWith(".moon"));
  assert.equal(name, `000000${publicText.slice(0, 10)}.moon`);
  const moon = decodeWorld(new Reader(io.files.get(name)!, name));
  assert.ok(verifyWorld(machinePrimitives, moon.updatesMustBeSignedBy, moon));
  assert.equal(moon.roots[0].identity.format(), publicText);
});

Deno.test("idTool() takes what is wrong with a file for an answer, not for a crash", async () => {
  const io = bench();
  io.files.set("torn", utf8(secretText.slice(0, 200)));
  io.files.set("binary", new Uint8Array(300).fill(0xff));
  for (const name of ["torn", "binary"]) {
    const { stderr, exit } = await idTool(["validate", name], io);
    assert.equal(stderr, `Identity argument invalid or file unreadable: ${name}\n`);
    assert.equal(exit, 1);
    const moon = await idTool(["genmoon", name], io);
    assert.deepEqual(moon, { stdout: "", stderr: "not JSON\n", exit: 1 });
    const verified = await idTool(["verify", "i.public", "msg", name], io);
    assert.equal(verified.exit, 1);
  }
});
