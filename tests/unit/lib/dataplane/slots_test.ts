import { equal } from "node:assert/strict";
import { Slots } from "../../../../lib/dataplane/slots.ts";

Deno.test("Slots.take() gives each number once, and there is an end to them", () => {
  const slots = new Slots(2);
  equal(slots.take(0), 0);
  equal(slots.take(0), 1);
  equal(slots.take(0), undefined);
});

Deno.test("Slots.take() gives again what was given back, the first given back first", () => {
  const slots = new Slots(3);
  for (let i = 0; i < 3; i++) slots.take(0);
  slots.give(2, 0);
  slots.give(1, 0);
  equal(slots.take(0), 2);
  equal(slots.take(0), 1);
});

Deno.test("Slots.take() lets a number rest, and gives others meanwhile", () => {
  const slots = new Slots(2, 1_000);
  slots.give(slots.take(0)!, 500);
  equal(slots.take(1_499), 1);
  equal(slots.take(1_499), undefined);
  equal(slots.take(1_500), 0);
});
