import assert from "node:assert/strict";
import { candidates, completer } from "../../../../cli/commands/completion.ts";
import { Call } from "../../../../cli/command.ts";
import type { Json } from "../../../../cli/engine/json.ts";
import { PROGRAM, run } from "../../../../cli/main.ts";

const BASH = "/bin/bash";
const ID = "8056c2e21c000001";

/** What may come next, and what the service was asked. */
async function after(
  words: string[],
  answer?: Json,
): Promise<{ words: string[]; asked: string[] }> {
  const asked: string[] = [];
  const found = await candidates(PROGRAM.commands, words, ({ globals }, path) => {
    asked.push(`${globals.get("-D") ?? ""} ${path}`.trim());
    return Promise.resolve(answer);
  });
  return { words: found.map(({ word }) => word), asked };
}

Deno.test("candidates() completes commands, those below, and options, but nothing hidden", async () => {
  assert.deepEqual((await after(["co"])).words, ["controller", "completion"]);
  assert.deepEqual((await after(["controller", ""])).words, ["network", "member", "export"]);
  assert.deepEqual((await after(["-j", "controller", "member", "au"])).words, ["authorize"]);
  assert.deepEqual((await after(["join", "--"])).words, ["--wait", "--timeout", "--json"]);
  assert.deepEqual((await after(["service", ""])).words, ["install", "uninstall", "unit"]);
  assert.deepEqual((await after(["completion", "z"])).words, ["zsh"]);
  assert.deepEqual((await after(["complet"])).words, ["completion"]);
  assert.deepEqual((await after(["he"])).words, ["help"]);
  assert.deepEqual((await after(["help", "controller", "n"])).words, ["network"]);
  assert.deepEqual((await after(["frob", ""])).words, []);
});

Deno.test("candidates() leaves what an option takes, and files, to the shell", async () => {
  assert.deepEqual((await after(["-D", ""])).words, []);
  assert.deepEqual((await after(["join", "--timeout", "1"])).words, []);
  assert.deepEqual((await after(["rules", "check", ""])).words, []);
});

Deno.test("candidates() asks the service for networks, the controller for its own and their members", async () => {
  const joined = [{ nwid: ID, name: "office" }];
  assert.deepEqual(await after(["-D", "/h", "leave", "80"], joined), {
    words: [ID],
    asked: ["/h /network"],
  });
  assert.deepEqual(await after(["controller", "network", "show", ""], [ID]), {
    words: [ID],
    asked: ["/controller/network"],
  });
  assert.deepEqual(await after(["controller", "member", "authorize", ID, ""], { a0b1c2d3e4: 1 }), {
    words: ["a0b1c2d3e4"],
    asked: [`/controller/network/${ID}/member`],
  });
  const peers = [
    { address: "19810bb6a3", isBonded: true, bondingPolicyStr: "broadcast" },
    { address: "1111111111", isBonded: false },
  ];
  assert.deepEqual(await after(["bond", "show", ""], peers), {
    words: ["19810bb6a3"],
    asked: ["/peer"],
  });
  // No network, nobody answers: nothing to offer.
  assert.deepEqual(await after(["controller", "member", "show", "x", ""]), {
    words: [],
    asked: [],
  });
  assert.deepEqual((await after(["leave", ""])).words, []);
});

Deno.test("completer() prints a word a line with what it means, and nothing where no service runs", async () => {
  let out = "";
  const io = { out: (text: string) => void (out += text), err: () => assert.fail() };
  const complete = completer(() => PROGRAM.commands);
  const call = (...words: string[]) => complete.run!(new Call(words, {}, { json: false }, io));
  await call("lea");
  assert.equal(out, "leave\tLeave a network\n");
  await call("-D", "/nonexistent", "leave", "");
  assert.equal(out, "leave\tLeave a network\n");
});

async function script(shell: string): Promise<string> {
  let out = "";
  assert.equal(
    await run(["completion", shell], { out: (text) => void (out += text), err: () => {} }),
    0,
  );
  return out;
}

Deno.test("completion knows its shells", async () => {
  for (const shell of ["zsh", "fish"]) assert.match(await script(shell), /zt.* complete -- /s);
  let err = "";
  const io = { out: () => {}, err: (text: string) => void (err += text) };
  assert.equal(await run(["completion", "csh"], io), 2);
  assert.match(err, /one of bash, zsh, fish; see: zt help completion/);
});

Deno.test({
  name: "completion bash fills COMPREPLY with what `zt complete` answers",
  ignore: !exists(BASH),
  fn: async () => {
    const program = `zt() { printf '%s\\tmeaning it\\n' "$#" "$@"; }\n`;
    const use =
      `COMP_WORDS=(zt leave '' later); COMP_CWORD=2; _zt; printf '<%s>' "\${COMPREPLY[@]}"`;
    const args = ["--norc", "-c", program + await script("bash") + use];
    const { stdout, stderr } = await new Deno.Command(BASH, { args }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    assert.equal(text(stdout), "<4><complete><--><leave><>", text(stderr));
  },
});

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
