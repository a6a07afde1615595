/** Records of a reference controller. @module */
import assert from "node:assert/strict";
import { readControllerFiles } from "../../../../cli/storage/import_files.ts";

const NETWORK = "7d6fc6c76500beef";

async function withFolder(
  files: Record<string, string>,
  run: (folder: string) => void,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "zt-import-" });
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.mkdir(`${folder}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    run(folder);
    for (const [name, text] of Object.entries(files)) {
      assert.equal(await Deno.readTextFile(`${folder}/${name}`), text, "files are left alone");
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("readControllerFiles() reads networks and their members and leaves the files alone", () => {
  const network = { id: NETWORK, nwid: NETWORK, objtype: "network", revision: 3, future: [1] };
  const member = { id: "19810bb6a3", address: "19810bb6a3", nwid: NETWORK, objtype: "member" };
  return withFolder({
    [`network/${NETWORK}.json`]: JSON.stringify(network),
    [`network/${NETWORK}/member/19810bb6a3.json`]: JSON.stringify(member),
    [`network/${NETWORK}/member/cab3262c6a.json`]: JSON.stringify({ id: "CAB3262C6A" }),
    "trace/x.json": "{}",
  }, (folder) => {
    const read = readControllerFiles(folder);
    assert.deepEqual(read.skipped, []);
    assert.deepEqual(read.networks, [network]);
    assert.deepEqual(read.members, [
      member,
      { id: "cab3262c6a", address: "cab3262c6a", nwid: NETWORK, objtype: "member" },
    ]);
  });
});

Deno.test("readControllerFiles() skips what is broken and names it", () =>
  withFolder({
    [`network/${NETWORK}.json`]: JSON.stringify({ id: NETWORK }),
    "network/7d6fc6c765000001.json": '{"id":"7d6fc6c7650000',
    "network/7d6fc6c765000002.json": "[]",
    "network/7d6fc6c765000003.json": '{"id":"short"}',
    "network/not-hexadecimal!.json": '{"id":"0123456789abcdef"}',
    "network/notes.txt": "x",
    [`network/${NETWORK}/member/19810bb6a3.json`]: "",
    [`network/${NETWORK}/member/zzzzzzzzzz.json`]: '{"id":"0123456789"}',
    [`network/${NETWORK}/member/short.json`]: "{}",
  }, (folder) => {
    const read = readControllerFiles(folder);
    assert.deepEqual(read.networks.map(({ id }) => id), [NETWORK]);
    assert.deepEqual(read.members, []);
    assert.deepEqual(read.skipped.map(({ path }) => path.slice(folder.length + 1)).sort(), [
      "network/7d6fc6c765000001.json",
      "network/7d6fc6c765000002.json",
      "network/7d6fc6c765000003.json",
      `network/${NETWORK}/member/19810bb6a3.json`,
      `network/${NETWORK}/member/zzzzzzzzzz.json`,
      "network/not-hexadecimal!.json",
    ]);
    for (const { reason } of read.skipped) assert.ok(reason.length > 0 && !reason.includes("\n"));
  }));

Deno.test("readControllerFiles() finds nothing where there is no folder", () => {
  assert.deepEqual(readControllerFiles("no/such/folder"), {
    networks: [],
    members: [],
    skipped: [],
  });
});
