import assert from "node:assert/strict";
import { effectiveConfig } from "../../../../cli/api/view.ts";

const EFFECTIVE = {
  allowTcpFallbackRelay: true,
  forceTcpRelay: false,
  homeDir: "/home",
  listeningOn: ["10.88.0.1/9994"],
  portMappingEnabled: false,
  primaryPort: 9994,
  secondaryPort: undefined,
  tertiaryPort: undefined,
  softwareUpdate: "disable",
  softwareUpdateChannel: "release",
  surfaceAddresses: [],
};

Deno.test("effectiveConfig() sets what is in force over local.conf, ports there are not as 0, and keeps the rest", () => {
  const conf = {
    settings: { forceTcpRelay: "x", secondaryPort: 5, weird: [1] },
    virtual: { "1234567890": { try: ["1.2.3.4/9993"] } },
    x: 1,
  };
  assert.deepEqual(effectiveConfig(conf, EFFECTIVE), {
    settings: { ...EFFECTIVE, secondaryPort: 0, tertiaryPort: 0, weird: [1] },
    virtual: conf.virtual,
    x: 1,
  });
});

Deno.test("effectiveConfig() makes settings where local.conf has none, or something else", () => {
  const settings = { ...EFFECTIVE, secondaryPort: 1, tertiaryPort: 2 };
  for (const conf of [{}, { settings: 5 }, { settings: [1] }, { settings: null }]) {
    const given = { ...EFFECTIVE, secondaryPort: 1, tertiaryPort: 2 };
    assert.deepEqual(effectiveConfig(conf, given), { settings });
  }
});
