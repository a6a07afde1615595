/**
 * `zt doctor`: what may keep this machine from being reached directly, and what to do about it.
 * @module
 */
import { ApiError } from "../../lib/base/errors.ts";
import { type Call, command } from "../command.ts";
import type { DoctorFacts } from "../engine/doctor/facts.ts";
import { diagnose, diagnoseWithoutService, type Finding } from "../engine/doctor/findings.ts";
import { findingsText } from "../engine/doctor/text.ts";
import type { JsonObject } from "../engine/json.ts";
import { findService, homeOf, render } from "./context.ts";

const PATIENCE_MS = 10_000; // the service asks its roots and gateways seven seconds at most
const EXIT_PROBLEMS = 1;

/** `zt doctor`. */
export const doctor = command("doctor", "What may be wrong here, and what to do about it")
  .example("zt doctor")
  .note("Where an HTTP proxy is set or named by the environment, it is asked for a way to a root.")
  .note("Ends with 0 when no problem was found, with 1 otherwise; notes are no problems.")
  .action(async (call) => {
    const { findings, facts } = await examine(call);
    const problems = findings.filter(({ state }) => state === "problem").length;
    render(call, { problems, findings, facts }, () => findingsText(findings));
    return problems > 0 ? EXIT_PROBLEMS : 0;
  });

/** Asks the service, or looks at what can be seen without one. */
async function examine(call: Call): Promise<{ findings: Finding[]; facts: JsonObject }> {
  const home = homeOf(call);
  try {
    const service = findService(call, home);
    if (!service) throw new ApiError(0, `none has run on ${home.path} yet`);
    const facts = await service.call("GET", "/zt/doctor", undefined, PATIENCE_MS) as DoctorFacts;
    return { findings: diagnose(facts), facts };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { machineFacts } = await import("../engine/doctor/machine_facts.ts");
    const machine = machineFacts(home);
    const remedy = error.status === 0
      ? "start it with: zt service --background"
      : "see that it is a zt of this version, and that -D or -T give its token";
    const findings = diagnoseWithoutService(machine, error.message, remedy);
    return { findings, facts: { machine } };
  }
}
