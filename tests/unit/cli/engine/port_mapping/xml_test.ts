import assert from "node:assert/strict";
import {
  elements,
  escapeXml,
  isPlainXml,
  textOf,
} from "../../../../../cli/engine/port_mapping/xml.ts";

Deno.test("elements() finds elements by name, with or without prefix and attributes", () => {
  const xml = `<a><b>1</b><x:b k="v">2</x:b><bb>3</bb><b/><b></b></a>`;
  assert.deepEqual(elements(xml, "b"), ["1", "2", ""]);
  assert.deepEqual(elements("<b>1</b", "b"), []);
  assert.deepEqual(elements("</b><b>", "b"), []);
});

Deno.test("textOf() decodes entities and refuses elements inside", () => {
  assert.equal(textOf("<a> x&amp;y&#65;&#x42;&zzz;&#xffffff; </a>", "a"), "x&yAB&zzz;&#xffffff;");
  assert.equal(textOf("<a><b/></a>", "a"), undefined);
  assert.equal(textOf("<b>1</b>", "a"), undefined);
  assert.equal(escapeXml(`<"'&>`), "&#60;&#34;&#39;&#38;&#62;");
});

Deno.test("isPlainXml() refuses declarations and CDATA", () => {
  assert.ok(isPlainXml(`<?xml version="1.0"?><a/>`));
  for (const bad of ["<!DOCTYPE a>", "<!entity a>", "<a><![CDATA[x]]></a>"]) {
    assert.equal(isPlainXml(bad), false, bad);
  }
});

Deno.test("elements() does linear work on what is made to be slow", () => {
  const size = 131_072;
  const nasty = ["<b>", "<b ", "</b", "<b><", "<x:", "<".repeat(3), "<b " + "a".repeat(500), "&#x"];
  for (const piece of nasty) {
    const xml = piece.repeat(Math.ceil(size / piece.length)).slice(0, size);
    assert.ok(elements(xml, "b").length <= 64);
    textOf(`<b>${xml}</b>`, "b");
  }
});
