import { decide } from "../../../../../lib/network/rules/decision.ts";
import { validCredentials } from "../../../../../lib/network/rules/member.ts";
import { countVectors } from "../../../../vectors/count.ts";
import { checkDecision, filterCases } from "./cases.ts";

Deno.test("decide() decides every recorded case as the reference did", () => {
  for (const testCase of filterCases) {
    const remote = validCredentials(testCase.local, testCase.remote);
    const random = () => 0x8000_0000;
    const decision = decide({ ...testCase, remote, random }, testCase.teeEnabled);
    checkDecision(testCase, decision.verdict, decision.copies);
  }
  countVectors("rules.json: filter, interpreted", filterCases.length);
});
