/**
 * The packet module: everything done to packets and frames in bulk, in a memory of the caller's. No allocation, no static
 * data; what it remembers between calls are a few addresses given to {@link setup} and to the functions that begin a batch.
 */
import { setIds } from "./ids";
import { setReassembly } from "./reassembly";
import { setSelf } from "./receive";
import { setSessions } from "./sessions";

export { open, poly1305, salsa12, seal } from "./armor";
export { deliver, rxFramesBegin, rxFramesEnd, setUso } from "./coalesce";
export { nextId } from "./ids";
export { REASSEMBLY_BYTES, SCRATCH_BYTES } from "./reassembly";
export { receive, rxBegin, rxCount, rxResumeAt, setTick } from "./receive";
export { sessionHash } from "./sessions";
export { splitFrame, transmit, txBegin, txEnd } from "./transmit";

/**
 * Says who we are and where the tables are; clears the reassembly area.
 * @param selfHigh First byte of our address
 * @param selfLow The other four
 * @param slots Reassembly area
 */
export function setup(
  selfHigh: u32,
  selfLow: u32,
  ids: usize,
  sessions: usize,
  index: usize,
  indexMask: u32,
  slots: usize,
  scratch: usize,
): void {
  setSelf(selfHigh, selfLow);
  setIds(ids);
  setSessions(sessions, index, indexMask);
  setReassembly(slots, scratch);
}
