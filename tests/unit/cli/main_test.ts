import assert from "node:assert/strict";
import { AssertionError, SystemError, WireError } from "../../../lib/base/errors.ts";
import { commandPath, type CommandSpec } from "../../../cli/command.ts";
import { PROGRAM, type TextSink, writeAll, writeIfPossible } from "../../../cli/main.ts";
import { reportLine, reportOf, reportText, wantsJson } from "../../../cli/report.ts";

import { ID, inHome, type Ran, TOKEN, withService, zt } from "./program.ts";

const MAIN = new URL("../../../cli/main.ts", import.meta.url).pathname;

function allCommands(specs: CommandSpec[], path = ""): [string, CommandSpec][] {
  return specs.flatMap((spec) => {
    const name = `${path}${spec.name}`;
    return [[name, spec] as [string, CommandSpec], ...allCommands(spec.commands, `${name} `)];
  });
}

Deno.test("run() prints help with an example for every command", async () => {
  const commands = allCommands(PROGRAM.commands);
  assert.ok(commands.length > 40, String(commands.length));
  for (const [name, spec] of commands) {
    const { out, exit } = await zt([...name.split(" "), "--help"]);
    assert.equal(exit, 0, name);
    assert.match(out, new RegExp(`^Usage: zt ${name}`), name);
    if (spec.isHidden) continue;
    assert.match(out, /\nExample:\n {2}zt /, name);
    for (const line of out.split("\n")) {
      if (!line.startsWith("  zt ") || line.includes("AQAAA")) continue;
      assert.match(line, new RegExp(`^ {2}zt ${name}( |$)|^ {2}zt ${name.split(" ")[0]} `), name);
    }
  }
});

Deno.test("run() answers wrong usage with 2 and one line", async () => {
  const cases: [string[], RegExp][] = [
    [["jion"], /unknown command 'jion' \(Did you mean join\?\)/],
    [["join"], /missing required argument 'network'/],
    [
      ["join", "1", "2"],
      /too many arguments for 'join'\. Expected 1 argument but got 2: 1, 2; see/,
    ],
    [["join", ID, "--wiat"], /unknown option '--wiat' \(Did you mean --wait\?\)/],
    [["join", "123"], /"123" is not a network id/],
    [["join", "z".repeat(16)], /is not a network id/],
    [["join", ID, "--timeout", "1"], /only makes sense with --wait/],
    [["join", ID, "--wait", "--timeout", "-1"], /--timeout must be a number of seconds/],
    [["leave", "x"], /is not a network id/],
    [["-p", "x", "info"], /-p must be a port/],
    [["-p"], /argument missing/],
    [["controller", "member", "authorize", ID, "123"], /"123" is not an address/],
    [["controller", "network", "create", "--ipv4", "10.0.0.0"], /is not an IPv4 network/],
    [["controller", "network", "create", "nonsense"], /is not key=value/],
    [["controller", "frob"], /unknown command 'frob'/],
    [["service", "--stop", "--background"], /exclude each other/],
    [["planet", "use", "/nonexistent"], /is neither a file, a URL nor the text of a planet/],
    [["planet", "create", "--endpoint", "x"], /is not an endpoint/],
    [["decode", "zz"], /is not hexadecimal/],
    [["decode"], /give a packet/],
  ];
  await inHome(async (home) => {
    for (const [argv, message] of cases) {
      const { err, out, exit } = await zt([`-D${home}/x`, ...argv]);
      const place = argv.join(" ");
      assert.equal(exit, 2, `${place}: ${err}`);
      assert.match(err, message, place);
      const help = ["zt help", ...commandPath(PROGRAM, argv)].join(" ");
      assert.match(err.split("\n").at(-2)!, new RegExp(`^zt: .*; see: ${help}$`), place);
      assert.equal(out, "", place);
    }
  });
});

Deno.test("run() prints help on stderr and 2 when a command is missing", async () => {
  for (const argv of [[], ["controller"], ["controller", "network"], ["planet"], ["id"]]) {
    const { err, out, exit } = await zt(argv);
    assert.deepEqual([exit, out], [2, ""], argv.join(" "));
    assert.match(err, /^Usage: zt/);
  }
});

Deno.test("commandPath() takes the words that name a command, past options and aliases", () => {
  const path = (...argv: string[]) => commandPath(PROGRAM, argv).join(" ");
  assert.equal(
    path("-D", "join", "-j", "controller", "network", "frob", "list"),
    "controller network",
  );
  assert.equal(path("status", ID), "info");
  assert.equal(path("-p"), "");
});

Deno.test("run() with --json writes nothing but lines of JSON to stderr, the error last", () =>
  withService(async (service, home) => {
    const unused = `${home}/unused`;
    const cases: [string[], number, Record<string, unknown>][] = [
      [["info", "-D", unused], 1, { code: "no-service" }],
      [["info", "-Twrong"], 1, { code: "unauthorized" }],
      [["controller", "network", "show", ID], 1, { code: "not-found" }],
      [["planet", "use", "A".repeat(400)], 2, { code: "usage", help: "zt help planet use" }],
      [["service", "--log-level", "loud"], 2, { code: "usage", help: "zt help service" }],
      [["jion"], 2, { code: "usage", help: "zt help" }],
      [["controller"], 2, { code: "usage", help: "zt help controller" }],
      [["join", ID, "--wait", "--timeout", "0.01"], 3, { code: "timeout" }],
      [["planet", "sign"], 1, { code: "home" }],
      [["id", "validate", "nonsense"], 1, { code: "refused" }],
      [["id", "generate", `${home}/authtoken.secret`], 1, { code: "system", errno: "EEXIST" }],
    ];
    service.controllerAnswer = { status: 404 };
    service.waitNetwork = () => Promise.resolve({ ready: false, network: service.networkList[0] });
    for (const [argv, code, expected] of cases) {
      const { exit, out, err } = await zt(["--json", "-D", home, ...argv]);
      const lines = err.trimEnd().split("\n").map((line) => JSON.parse(line));
      const { error } = lines.pop();
      const place = `${argv.join(" ")}: ${err}`;
      assert.deepEqual([exit, out, error.exit], [code, "", code], place);
      assert.deepEqual({ ...error, ...expected }, error, place);
      assert.match(error.message, /^[^\n]+$/, place);
      for (const line of lines) assert.deepEqual(Object.keys(line), ["note"], place);
    }
  }));

Deno.test("reportOf() names what went wrong, for people and programs", () => {
  const bug = reportOf(new AssertionError("broken invariant: test"));
  assert.deepEqual([bug.code, bug.exit], ["bug", 70]);
  assert.match(JSON.parse(reportLine(bug, [])).error.stack, /main_test\.ts/);
  assert.match(
    reportText(bug, ["join"]),
    /please report it\nAssertionError: broken[^]*main_test\.ts/,
  );
  const wire = reportOf(new WireError("HELLO", "truncated\n at 3"));
  assert.deepEqual(wire, { code: "bad-data", exit: 1, message: "HELLO: truncated at 3" });
  const system = reportOf(new SystemError("listen", "not a symbol"));
  assert.deepEqual([system.code, system.errno], ["system", undefined]);
  assert.equal(reportOf("odd").code, "bug");
});

Deno.test("wantsJson() looks at switches only, not past --", () => {
  assert.equal(wantsJson(["info", "-j"]), true);
  assert.equal(wantsJson(["--", "--json"]), false);
  assert.equal(wantsJson(["json"]), false);
});

Deno.test("run() says in one line that there is no service, and where it looked", () =>
  inHome(async (home) => {
    for (
      const argv of [["info"], ["peers"], ["leave", ID], ["get", ID, "ip"], ["/status"], [
        "listpeers",
      ]]
    ) {
      const { err, exit } = await zt([...argv, "-D", home]);
      assert.equal(exit, 1);
      assert.equal(
        err,
        `zt: no service has run on ${home} (-D names another home); start one with: zt service --background\n`,
      );
    }
    const idle = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const port = String((idle.addr as Deno.NetAddr).port);
    idle.close();
    const { err, exit } = await zt(["info", "-D", home, "-p", port, "-Tx"]);
    assert.deepEqual([exit, err], [
      1,
      `zt: no service answers at 127.0.0.1:${port}; start one with: zt service --background\n`,
    ]);
    Deno.writeTextFileSync(`${home}/authtoken.secret`, "x");
    const word = await zt(["listpeers", "-D", home, "-p", port, "-j"]);
    assert.deepEqual([word.exit, word.out], [1, ""]);
    assert.equal(JSON.parse(word.err).error.code, "no-service");
  }));

Deno.test("run() reads the same service by home folder, port and token, attached or not", () =>
  withService(async (_service, home, server) => {
    for (
      const argv of [
        ["info", "-D", home],
        [`-D${home}`, "info"],
        ["status", `-p${server.port}`, `-T${TOKEN}`, "-D/nonexistent"],
      ]
    ) {
      const { out, exit, err } = await zt(argv);
      assert.equal(exit, 0, err);
      assert.match(
        out,
        /^address +19810bb6a3\nstate +online\nversion +zt 0\.1\.0 \(speaks as 1\.14\.1\)\nplanet +ffffffffffffffff\n/,
      );
    }
    const { out } = await zt(["info", "-D", home, "--json"]);
    assert.match(out, /"planetWorldId": 18446744073709551615,/);
    const refused = await zt(["info", "-D", home, "-Twrong"]);
    assert.equal(refused.exit, 1);
    assert.match(refused.err, /^zt: the service at .* refused the token; check -D or -T\n$/);
  }));

Deno.test("help about what is no command is wrong usage", async () => {
  for (
    const [argv, word] of [[["help", "jion"], "jion"], [
      ["help", "controller", "jion"],
      "controller jion",
    ]] as const
  ) {
    const { exit, out, err } = await zt([...argv]);
    assert.deepEqual([exit, out], [2, ""]);
    assert.match(err, new RegExp(`^zt: unknown command '${word}'; see: zt help`));
  }
});

Deno.test("help takes the words of a command, however many", async () => {
  const help = ["help", "controller", "network", "create"];
  for (const argv of [help, ["-j", "-D", "/somewhere", ...help]]) {
    const { out, exit } = await zt(argv);
    assert.equal(exit, 0);
    assert.match(out, /^Usage: zt controller network create .*\n/);
  }
});

Deno.test("run() is the program it is called as", async () => {
  assert.deepEqual(await zt(["-v"], "/usr/sbin/zerotier-cli"), {
    out: "1.14.1\n",
    err: "",
    exit: 0,
  });
  assert.deepEqual(await zt(["zerotier-one", "-v"]), { out: "1.14.1\n", err: "", exit: 0 });
  assert.equal((await zt([], "zerotier-idtool")).exit, 1);
  assert.match((await zt(["-v"], "/usr/bin/zt")).out, /^0\.\d+\.\d+\n$/);
});

Deno.test("run() reports an error of ours with its stack and 70", () =>
  withService(async (service, home) => {
    const program = PROGRAM.fallback;
    PROGRAM.fallback = () => () => {
      throw new AssertionError("broken invariant: test");
    };
    try {
      const { exit, err } = await zt(["frob", "-D", home]);
      assert.equal(exit, 70);
      assert.match(err, /broken invariant: test\n[^]*main_test\.ts/);
    } finally {
      PROGRAM.fallback = program;
    }
    assert.deepEqual(service.log, []);
  }));

Deno.test("service --background says in words and in JSON that one runs already", () =>
  withService(async (_service, home, { port }) => {
    const words = await zt(["service", "--background", "-D", home]);
    assert.deepEqual([words.exit, words.out], [0, `a service is already running on ${home}\n`]);
    const json = await zt(["service", "--background", "-D", home, "--json"]);
    assert.deepEqual(JSON.parse(json.out), { started: false, port, home });
  }));

Deno.test("run() reports what the system refused in one line and 1", () =>
  withService(async (_service, home) => {
    const folder = Deno.cwd();
    Deno.mkdirSync(`${home}/here/zerotier_dump.txt`, { recursive: true });
    Deno.chdir(`${home}/here`);
    try {
      const { exit, err, out } = await zt(["dump", "-D", home]);
      assert.deepEqual([exit, out], [1, ""]);
      assert.match(err, /^zt: [^\n]*\(os error 21\): [^\n]*zerotier_dump\.txt'\n$/);
    } finally {
      Deno.chdir(folder);
    }
  }));

Deno.test("writeAll() and writeIfPossible() write piece by piece, and differ where nothing can be written", () => {
  const written: number[] = [];
  const slow: TextSink = { writeSync: (bytes) => written.push(bytes[0]) && 1 };
  writeAll(slow, "ab");
  writeIfPossible(slow, "c");
  assert.deepEqual(written, [97, 98, 99]);
  const failing = (error: Error): TextSink => ({
    writeSync: () => {
      throw error;
    },
  });
  const full = failing(new Error("No space left on device (os error 28)"));
  assert.throws(() => writeAll(full, "x"), (error) => {
    return error instanceof SystemError && /No space left/.test(error.message);
  });
  writeIfPossible(full, "x");
  writeAll(failing(new Deno.errors.BrokenPipe("gone")), "x");
});

/** The program as a process of its own. */
async function child(...argv: string[]): Promise<Ran> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "-A", MAIN, ...argv],
    env: { NO_COLOR: "1" },
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { out: decode(stdout), err: decode(stderr), exit: code };
}

Deno.test("main exits with the code of what happened: 0, 1, 2, 3", () =>
  withService(async (service, home) => {
    await zt(["join", ID, "-D", home]);
    const network = service.networkList[0];
    service.waitNetwork = () => Promise.resolve({ ready: false, network });
    assert.equal((await child("info", "-D", home)).exit, 0);
    assert.equal((await child("info", "-D", home, "-Twrong")).exit, 1);
    assert.equal((await child("jion")).exit, 2);
    assert.equal((await child("join", ID, "--wait", "--timeout", "0.01", "-D", home)).exit, 3);
  }));

Deno.test("service refuses a damaged home with one line and 1, and changes nothing", () =>
  inHome(async (home) => {
    const cases: [string, string, RegExp][] = [
      ["identity.secret", "torn:0:abc", /identity\.secret is damaged or not an identity/],
      ["local.conf", '{"settings":{"primaryPort":"x"}}', /settings\.primaryPort must be a number/],
      ["local.conf", "{torn", /local\.conf is not JSON/],
    ];
    for (const [name, content, message] of cases) {
      const folder = Deno.makeTempDirSync({ dir: home });
      Deno.writeTextFileSync(`${folder}/${name}`, content);
      const { exit, err, out } = await child("service", "-D", folder);
      assert.deepEqual([exit, out], [1, ""], err);
      assert.match(err, message);
      assert.equal(err.trimEnd().split("\n").length, 1, err);
      assert.equal(Deno.readTextFileSync(`${folder}/${name}`), content);
      // In the background the reason comes back from the log.
      const background = await child("service", "--background", "-D", folder);
      assert.equal(background.exit, 1);
      assert.match(background.err, message);
    }
  }));

Deno.test("service refuses a home another service has", () =>
  inHome(async (home) => {
    const { Home } = await import("../../../cli/engine/home.ts");
    const lock = await new Home(home).lock();
    try {
      const { exit, err } = await child("service", "-D", home);
      assert.equal(exit, 1);
      assert.equal(
        err,
        `zt: a service is already running on ${home}; end it with: zt service --stop\n`,
      );
    } finally {
      lock.release();
    }
  }));
