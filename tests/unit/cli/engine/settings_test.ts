import assert from "node:assert/strict";
import { formatEndpoint, formatIp, formatPrefix, parseIp } from "../../../../lib/base/ip.ts";
import { type JsonObject, parseJson } from "../../../../cli/engine/json.ts";
import { Home } from "../../../../cli/engine/home.ts";
import { LiveSettings } from "../../../../cli/engine/live_settings.ts";
import { parseSettings, physicalFor, unknownSettings } from "../../../../cli/engine/settings.ts";

const parse = (text: string) => parseSettings(parseJson(text) as JsonObject);
const parseSetting = (text: string) => parse(`{"settings":${text}}`);

Deno.test("parseSettings() has the reference's defaults", () => {
  const settings = parseSettings({});
  assert.deepEqual(settings, {
    physical: [],
    peers: [],
    primaryPort: undefined,
    secondaryPort: 0,
    tertiaryPort: 0,
    allowSecondaryPort: true,
    portMappingEnabled: true,
    bind: [],
    interfacePrefixBlacklist: [],
    allowManagementFrom: [],
    allowTcpFallbackRelay: true,
    forceTcpRelay: false,
    tcpFallbackRelay: undefined,
    httpProxy: undefined,
    lowBandwidthMode: false,
    names: true,
    softwareUpdate: "disable",
    softwareUpdateChannel: "release",
    enableWebServer: false,
    controllerDbPath: undefined,
    resolvConf: undefined,
    cipher: "auto",
    logLevel: "info",
    dataPlane: { gso: true, gro: true, offload: true, aes: true },
    tcpRelay: true,
    tcpRelayPort: 443,
    relayBytesPerSecond: 256 * 1024 * 1024,
    bonds: undefined,
  });
  assert.deepEqual(parseSetting("null"), settings);
  assert.deepEqual(parse('{"unknown":[1],"settings":{"unknown":{}}}'), settings);
});

Deno.test("parseSettings() coerces as the reference does", () => {
  const settings = parseSetting(
    '{"primaryPort":"9994","secondaryPort":29994.7,"tertiaryPort":true,"allowSecondaryPort":"f",' +
      '"portMappingEnabled":0,"forceTcpRelay":"true","lowBandwidthMode":1,"enableWebServer":"T"}',
  );
  assert.equal(settings.primaryPort, 9994);
  assert.equal(settings.secondaryPort, 29994);
  assert.equal(settings.tertiaryPort, 1);
  assert.equal(settings.allowSecondaryPort, false);
  assert.equal(settings.portMappingEnabled, false);
  assert.equal(settings.forceTcpRelay, true);
  assert.equal(settings.lowBandwidthMode, true);
  assert.equal(settings.enableWebServer, true);
});

Deno.test("parseSettings() reads physical networks in order and peers", () => {
  const settings = parse(
    '{"physical":{"10.79.0.0/24":{"trustedPathId":18446744073709551615,"mtu":1},"10.78.0.0/24":{"blacklist":true,"mtu":99999}},' +
      '"virtual":{"ae2ded7b88":{"try":["10.77.0.3/9993"],"blacklist":["192.168.0.0/24"],"role":"UPSTREAM"}}}',
  );
  assert.deepEqual(
    settings.physical.map(({ network, ...rest }) => ({ network: formatPrefix(network), ...rest })),
    [
      { network: "10.78.0.0/24", blacklist: true, trustedPathId: 0n, mtu: 10_324 },
      {
        network: "10.79.0.0/24",
        blacklist: false,
        trustedPathId: 18446744073709551615n,
        mtu: 1_400,
      },
    ],
  );
  assert.equal(settings.peers[0].address, 0xae2ded7b88);
  assert.deepEqual(settings.peers[0].try.map(formatEndpoint), ["10.77.0.3/9993"]);
  assert.deepEqual(settings.peers[0].blacklist.map(formatPrefix), ["192.168.0.0/24"]);
});

Deno.test("parseSettings() reads lists and choices", () => {
  const settings = parseSetting(
    '{"bind":["10.0.0.1","::1"],"interfacePrefixBlacklist":["wg"],"allowManagementFrom":["10.0.0.0/8"],' +
      '"tcpFallbackRelay":"1.2.3.4/443","cipher":"aes","logLevel":"debug","tcpRelay":false,"controllerDbPath":"/x"}',
  );
  assert.deepEqual(settings.bind.map(formatIp), ["10.0.0.1", "::1"]);
  assert.deepEqual(settings.interfacePrefixBlacklist, ["wg"]);
  assert.deepEqual(settings.allowManagementFrom.map(formatPrefix), ["10.0.0.0/8"]);
  assert.equal(formatEndpoint(settings.tcpFallbackRelay!), "1.2.3.4/443");
  assert.equal(settings.cipher, "aes");
  assert.equal(settings.logLevel, "debug");
  assert.equal(settings.tcpRelay, false);
  assert.equal(settings.controllerDbPath, "/x");
});

Deno.test("parseSettings() names the key of a value that means nothing", () => {
  const cases: [string, RegExp][] = [
    ['{"settings":[]}', /settings must be an object/],
    ['{"settings":{"primaryPort":70000}}', /settings\.primaryPort must be a port/],
    ['{"settings":{"primaryPort":"x"}}', /settings\.primaryPort must be a number/],
    ['{"settings":{"secondaryPort":-1}}', /settings\.secondaryPort/],
    ['{"settings":{"forceTcpRelay":[]}}', /settings\.forceTcpRelay must be true or false/],
    ['{"settings":{"bind":"10.0.0.1"}}', /settings\.bind must be a list/],
    ['{"settings":{"bind":["x"]}}', /settings\.bind must be a list, each an IP address/],
    ['{"settings":{"allowManagementFrom":["x/8"]}}', /settings\.allowManagementFrom/],
    [
      '{"settings":{"logLevel":"loud"}}',
      /settings\.logLevel must be "error", "warn", "info" or "debug"/,
    ],
    ['{"settings":{"cipher":"rot13"}}', /settings\.cipher must be "auto", "salsa" or "aes"/],
    ['{"settings":{"tcpFallbackRelay":"x"}}', /settings\.tcpFallbackRelay must be ip\/port/],
    ['{"settings":{"softwareUpdate":1}}', /settings\.softwareUpdate must be text/],
    ['{"physical":{"x":{}}}', /physical\."x" is not a network/],
    ['{"physical":{"10.0.0.0\\/8":1}}', /physical\."10\.0\.0\.0\/8" must be an object/],
    ['{"physical":{"10.0.0.0\\/8":{"trustedPathId":-1}}}', /trustedPathId/],
    ['{"virtual":{"x":{}}}', /virtual\."x" is not an address/],
    ['{"virtual":{"ae2ded7b88":{"try":[1]}}}', /virtual\."ae2ded7b88"\.try/],
  ];
  for (const [text, message] of cases) assert.throws(() => parse(text), message, text);
});

Deno.test("parseSettings() takes an address without a port for one at the usual port", () => {
  const { peers: [peer], tcpFallbackRelay } = parse(
    '{"virtual":{"ae2ded7b88":{"try":["10.77.0.3","fd00::1","10.77.0.4/5"]}},' +
      '"settings":{"tcpFallbackRelay":"10.77.0.9"}}',
  );
  assert.deepEqual(
    peer.try.map(formatEndpoint),
    ["10.77.0.3/9993", "fd00::1/9993", "10.77.0.4/5"],
  );
  assert.equal(formatEndpoint(tcpFallbackRelay!), "10.77.0.9/443");
});

Deno.test("unknownSettings() names the keys nothing asks for", () => {
  const unknown = (text: string) => unknownSettings(parseJson(text) as JsonObject);
  assert.deepEqual(unknown("{}"), []);
  assert.deepEqual(
    unknown('{"physical":{},"virtual":{},"settings":{"names":true,"policies":{},"primaryPort":1}}'),
    [],
  );
  assert.deepEqual(
    unknown('{"fysical":{},"settings":{"portMapingEnabled":false,"bind":[],"concurrency":2}}'),
    ["fysical", "settings.portMapingEnabled", "settings.concurrency"],
  );
  assert.throws(() => unknown('{"settings":[]}'), /settings must be an object/);
});

Deno.test("LiveSettings.refresh() takes a changed file and keeps the old settings when it is broken", () => {
  const path = Deno.makeTempDirSync({ prefix: "zt-live-" });
  try {
    const home = new Home(path);
    const complaints: string[] = [];
    const live = new LiveSettings(home, (line) => complaints.push(line));
    assert.equal(live.refresh(), false);
    const put = (text: string, seconds: number) => {
      Deno.writeTextFileSync(`${path}/local.conf`, text);
      Deno.utimeSync(`${path}/local.conf`, seconds, seconds);
    };
    put('{"settings":{"lowBandwidthMode":true}}', 1_000);
    assert.equal(live.refresh(), true);
    assert.equal(live.current.lowBandwidthMode, true);
    assert.equal(live.refresh(), false);
    put("{bad", 2_000);
    assert.equal(live.refresh(), false);
    assert.equal(live.current.lowBandwidthMode, true);
    assert.equal(complaints.length, 1);
    assert.match(
      complaints[0],
      /local\.conf is not JSON: .*; the settings from before stay in force$/,
    );
    assert.throws(() => new LiveSettings(home, () => {}), /local\.conf/);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
});

Deno.test("parseSettings() lets parts of the data plane be switched off, and names what is wrong", () => {
  const { dataPlane } = parseSetting('{"dataPlane":{"gso":false,"gro":"false","other":1}}');
  assert.deepEqual(dataPlane, { gso: false, gro: false, offload: true, aes: true });
  assert.deepEqual(parseSetting('{"dataPlane":null}').dataPlane.offload, true);
  const cases: [string, RegExp][] = [
    ['{"dataPlane":false}', /^local\.conf: settings\.dataPlane must be an object$/],
    ['{"dataPlane":{"offload":[]}}', /settings\.dataPlane\.offload must be true or false/],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => parseSetting(text), (error: Error) => message.test(error.message));
  }
});

Deno.test("physicalFor() finds the first network that holds an address", () => {
  const settings = parse(
    `{"physical":{"10.0.0.0/8":{"mtu":1400},"10.1.0.0/16":{"mtu":9000},"fd00::/8":{"mtu":20000}}}`,
  );
  const mtuOf = (ip: string) => physicalFor(settings, parseIp(ip)!)?.mtu;
  assert.equal(mtuOf("10.1.2.3"), 1_400);
  assert.equal(mtuOf("fd00::1"), 10_324);
  assert.equal(mtuOf("192.0.2.1"), undefined);
});

Deno.test("parseSettings() reads an HTTP proxy, and names a wrong one without what it says", () => {
  const { httpProxy } = parseSetting('{"httpProxy":"http://me:secret@proxy:3128"}');
  assert.deepEqual(httpProxy, { host: "proxy", port: 3128, authorization: "Basic bWU6c2VjcmV0" });
  assert.equal(parseSetting('{"httpProxy":"none"}').httpProxy, "none");
  assert.equal(parseSetting('{"httpProxy":""}').httpProxy, undefined);
  for (const wrong of ['"https://me:secret@proxy"', '"me:secret"', "7", '{"secret":1}']) {
    assert.throws(
      () => parseSetting(`{"httpProxy":${wrong}}`),
      (error: Error) =>
        /settings\.httpProxy must be /.test(error.message) && !/secret/.test(error.message),
    );
  }
});
