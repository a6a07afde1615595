import assert from "node:assert/strict";
import {
  complaintsTo,
  LOG_LEVELS,
  logFrom,
  type LogLevel,
  parseLogLevel,
} from "../../../../cli/engine/log.ts";

Deno.test("logFrom() passes on what is as grave as wanted, by the level in force at that moment", () => {
  const lines: string[] = [];
  let wanted: LogLevel = "info";
  const log = logFrom((line) => lines.push(line), () => wanted);
  const sayAll = () => {
    log("plain");
    for (const level of LOG_LEVELS) log(level, level);
    return lines.splice(0);
  };
  assert.deepEqual(sayAll(), ["plain", "error", "warn", "info"]);
  wanted = "error";
  assert.deepEqual(sayAll(), ["error"]);
  wanted = "warn";
  assert.deepEqual(sayAll(), ["error", "warn"]);
  wanted = "debug";
  assert.deepEqual(sayAll(), ["plain", "error", "warn", "info", "debug"]);
});

Deno.test("complaintsTo() takes what is said for a warning, unless it says otherwise", () => {
  const said: [string, LogLevel?][] = [];
  const log = complaintsTo((...words) => said.push(words));
  log("a disk is full");
  log("all is lost", "error");
  assert.deepEqual(said, [["a disk is full", "warn"], ["all is lost", "error"]]);
});

Deno.test("parseLogLevel() knows four levels", () => {
  assert.deepEqual(LOG_LEVELS.map(parseLogLevel), LOG_LEVELS);
  for (const text of ["", "trace", "INFO", "toString"]) {
    assert.equal(parseLogLevel(text), undefined);
  }
});
