/**
 * The benchmark's side of {@linkcode TrafficTasks}.
 * @module
 */
import type { Lab, LabHost } from "../../cli/engine/lab.ts";
import { ReadyChild } from "./ready_child.ts";
import type { TrafficTasks } from "./traffic.ts";

const PROGRAM = new URL("traffic.ts", import.meta.url).pathname;

/** One task in one host, ready to go. */
export type Traffic<Name extends keyof TrafficTasks> = ReadyChild<TrafficTasks[Name]["out"]>;

/** Starts a task and waits until it is ready. @throws when it does not get there */
export function openTraffic<Name extends keyof TrafficTasks>(
  lab: Lab,
  host: LabHost,
  name: Name,
  task: TrafficTasks[Name]["in"],
): Promise<Traffic<Name>> {
  return ReadyChild.open(lab, host, PROGRAM, name, task);
}
