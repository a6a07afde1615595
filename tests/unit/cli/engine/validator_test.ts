/** Needs --allow-read: the Worker's module is read when it starts. */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { machinePrimitives } from "../../../../cli/engine/primitives.ts";
import {
  type GenerateProgress,
  GENERATIONS_PENDING_MAX,
  VALIDATIONS_PENDING_MAX,
  Validator,
} from "../../../../cli/engine/validator.ts";
import { formatAddress } from "../../../../lib/base/ids.ts";
import { Identity, ownsSecret } from "../../../../lib/identity/identity.ts";
import type { IdentityVectors } from "../../../vectors/identity.ts";
import { loadVectors } from "../../../vectors/load.ts";

const vectors = loadVectors<IdentityVectors>("identity.json");
const IMPOSSIBLE = "012345678"; // takes years

function texts(valid: boolean): Identity[] {
  return vectors.text
    .filter((v) => v.parses && !v.may_reject && v.locally_valid === valid)
    .map((v) => Identity.parse(v.string));
}

/** A test with a validator that is closed at its end. */
function validatorTest(
  name: string,
  fn: (validator: Validator) => Promise<void>,
  make = () => new Validator(),
): void {
  Deno.test(name, async () => {
    const validator = make();
    try {
      await fn(validator);
    } finally {
      validator.close();
    }
  });
}

validatorTest(
  "Validator.validate() tells valid identities from others, many at once",
  async (validator) => {
    const good = await Promise.all(texts(true).map((identity) => validator.validate(identity)));
    const bad = await Promise.all(texts(false).map((identity) => validator.validate(identity)));
    assert.ok(good.length > 0 && bad.length > 0);
    assert.ok(good.every((valid) => valid));
    assert.ok(bad.every((valid) => !valid));
  },
);

validatorTest(
  "Validator.validate() starts a Worker only for more than a few",
  async (validator) => {
    const good = Identity.parse(vectors.identities[0].public);
    const [bad] = texts(false);
    const few = [validator.validate(good), validator.validate(bad)];
    assert.equal(validator.running, false);
    assert.deepEqual(await Promise.all(few), [true, false]);
    const more = validator.validate(good);
    assert.equal(validator.running, true);
    assert.equal(await more, true);
    while (validator.running) await new Promise((resolve) => setTimeout(resolve, 1));
  },
  () => new Validator(0, { perSecond: 0, burst: 2 }),
);

validatorTest(
  "Validator.validate() lets others have their turn between checks on its thread",
  async (validator) => {
    const good = Identity.parse(vectors.identities[0].public);
    const order: string[] = [];
    const checks = [1, 2, 3].map(async () => order.push(`${await validator.validate(good)}`));
    for (let turn = 0; turn < 3; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      order.push("turn");
    }
    await Promise.all(checks);
    assert.ok(order.indexOf("turn") < order.lastIndexOf("true"), order.join(" "));
    assert.deepEqual(order.filter((one) => one !== "turn"), ["true", "true", "true"]);
  },
  () => new Validator(0, { perSecond: 0, burst: 3 }),
);

validatorTest(
  "Validator.validate() judges who came just before it would have gone idle",
  async (validator) => {
    const good = Identity.parse(vectors.identities[0].public);
    assert.equal(await validator.validate(good), true);
    const late = validator.validate(good);
    for (const startMs = performance.now(); performance.now() < startMs + 20;); // the timer is due before the check
    assert.equal(await late, true);
  },
  () => new Validator(5, { perSecond: 0, burst: 2 }),
);

validatorTest(
  "Validator.generate() gives a valid identity with its secret, and progress on the way",
  async (validator) => {
    const seen: GenerateProgress[] = [];
    const identity = await validator.generate({ prefix: "" }, (progress) => seen.push(progress));
    assert.equal(ownsSecret(machinePrimitives, identity), true);
    assert.equal(await validator.validate(identity), true);
    assert.deepEqual(seen.map(({ tries }) => tries), seen.map((_, i) => i + 1));
  },
);

validatorTest(
  "Validator.generate() stops when its signal says so, and the Worker goes on",
  async (validator) => {
    const abort = new AbortController();
    const endless = validator.generate({ prefix: IMPOSSIBLE, signal: abort.signal }, () => {
      abort.abort(new Error("enough"));
    });
    await assert.rejects(endless, /enough/);
    assert.equal(await validator.validate(Identity.parse(vectors.identities[0].public)), true);
    const late = validator.generate({ signal: abort.signal });
    await assert.rejects(late, /enough/);
  },
);

Deno.test("Validator checks identities while it searches for one", async () => {
  const validator = new Validator();
  const abort = new AbortController();
  const endless = validator.generate({ prefix: IMPOSSIBLE, signal: abort.signal });
  try {
    assert.equal(await validator.validate(Identity.parse(vectors.identities[1].public)), true);
    const found = await validator.generate();
    assert.match(formatAddress(found.address), /^[0-9a-f]{10}$/);
  } finally {
    abort.abort();
    await assert.rejects(endless);
    validator.close();
  }
});

Deno.test("Validator turns away more than its queue holds", async () => {
  const validator = new Validator();
  const identity = Identity.parse(vectors.identities[0].public);
  const waiting = Array.from(
    { length: VALIDATIONS_PENDING_MAX },
    () => validator.validate(identity),
  );
  assert.equal(await validator.validate(identity), false);
  const searches = Array.from(
    { length: GENERATIONS_PENDING_MAX },
    () => validator.generate({ prefix: IMPOSSIBLE }),
  );
  await assert.rejects(validator.generate(), RangeError);
  const ended = Promise.allSettled(searches);
  validator.close();
  assert.ok((await ended).every(({ status }) => status === "rejected"));
  assert.equal((await Promise.all(waiting)).length, VALIDATIONS_PENDING_MAX);
});

validatorTest(
  "Validator ends its Worker when idle and starts another when asked again",
  async (validator) => {
    const identity = Identity.parse(vectors.identities[0].public);
    assert.equal(validator.running, false);
    assert.equal(await validator.validate(identity), true);
    while (validator.running) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(await validator.validate(identity), true);
  },
  () => new Validator(0, { perSecond: 0, burst: 0 }),
);

validatorTest("Validator.generate() is rejected for a prefix no address has", async (validator) => {
  await assert.rejects(validator.generate({ prefix: "ff" }), /no address starts with "ff"/);
  assert.equal(validator.running, false);
});

Deno.test("Validator does nothing once closed", async () => {
  const validator = new Validator();
  const early = validator.validate(Identity.parse(vectors.identities[0].public));
  validator.close();
  assert.equal(await early, false);
  assert.equal(await validator.validate(Identity.parse(vectors.identities[0].public)), false);
  await assert.rejects(validator.generate(), /closed/);
  assert.equal(validator.running, false);
});
