/** Records for a reference controller. @module */
import assert from "node:assert/strict";
import { SystemError } from "../../../../lib/base/errors.ts";
import { writeControllerFiles } from "../../../../cli/storage/export_files.ts";
import { readControllerFiles } from "../../../../cli/storage/import_files.ts";

const NETWORK = "7d6fc6c76500beef";
const network = { id: NETWORK, nwid: NETWORK, objtype: "network", revision: 3, name: "a\n\u00fc" };
const member = { id: "19810bb6a3", address: "19810bb6a3", nwid: NETWORK, objtype: "member" };

function inFolder(use: (folder: string) => void): void {
  const folder = Deno.makeTempDirSync({ prefix: "zt-export-" });
  try {
    use(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("writeControllerFiles() writes what readControllerFiles() reads, without what is only shown", () =>
  inFolder((home) => {
    const folder = `${home}/controller.d`;
    const shown = {
      networks: [{ ...network, clock: 1, meta: {} }],
      members: [{ ...member, clock: 1 }],
    };
    assert.equal(writeControllerFiles(folder, shown), undefined);
    assert.equal((Deno.statSync(folder).mode ?? 0) & 0o777, 0o700);
    const read = readControllerFiles(folder);
    assert.deepEqual(read, { networks: [network], members: [member], skipped: [] });
    assert.equal(
      Deno.readTextFileSync(`${folder}/network/${NETWORK}/member/19810bb6a3.json`),
      `{"address":"19810bb6a3","id":"19810bb6a3","nwid":"${NETWORK}","objtype":"member"}`,
    );
  }));

Deno.test("writeControllerFiles() keeps every folder that had the name before", () =>
  inFolder((home) => {
    const folder = `${home}/controller.d`;
    const none = { networks: [], members: [] };
    writeControllerFiles(folder, { networks: [network], members: [] });
    assert.equal(writeControllerFiles(folder, none), `${folder}.old-1`);
    assert.equal(writeControllerFiles(folder, none), `${folder}.old-2`);
    assert.equal(readControllerFiles(`${folder}.old-1`).networks.length, 1);
    assert.equal(readControllerFiles(folder).networks.length, 0);
  }));

Deno.test("writeControllerFiles() that fails leaves the folder there was, and nothing else", () =>
  inFolder((home) => {
    const folder = `${home}/controller.d`;
    writeControllerFiles(folder, { networks: [network], members: [] });
    const twice = { networks: [network, network], members: [] }; // the second file is there already
    assert.throws(() => writeControllerFiles(folder, twice), SystemError);
    assert.deepEqual([...Deno.readDirSync(home)].map(({ name }) => name), ["controller.d"]);
    assert.equal(readControllerFiles(folder).networks.length, 1);
    assert.throws(() => writeControllerFiles(`${home}/none/such`, twice), SystemError);
    assert.throws(() => writeControllerFiles("/proc/nowhere", twice), SystemError);
  }));
