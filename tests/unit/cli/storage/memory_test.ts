/** The store in memory. @module */
import { MemoryStore, SharedRecords } from "../../../../cli/storage/memory.ts";
import { testStore } from "./contract.ts";

testStore("MemoryStore", async (run) => {
  const shared = new SharedRecords();
  const open = () => Promise.resolve(new MemoryStore(shared));
  await run(new MemoryStore(shared), {
    another: open,
    reopen: async (store) => {
      await store.close();
      return open();
    },
  });
});
