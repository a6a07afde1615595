/**
 * The text of a few elements of a small XML document, as routers write them. No parser: elements
 * are found by name, text is taken as it stands. Documents with anything that could change what
 * text means (declarations, CDATA) are refused, and the work is linear in the length whatever is
 * sent.
 * @module
 */

const ELEMENTS_MAX = 64; // of one name: a device lists about ten services
const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** @returns whether the document is plain enough to look into */
export function isPlainXml(xml: string): boolean {
  return !/<!(?:DOCTYPE|ENTITY|\[CDATA\[)/i.test(xml);
}

/**
 * What is inside the elements of that name, whatever their namespace prefix; elements of the same
 * name inside each other are not told apart, which the documents we read never need.
 */
export function elements(xml: string, name: string): string[] {
  const found: string[] = [];
  // One pass over all tags; the name is a constant of ours.
  const tag = new RegExp(`<(/?)(?:[A-Za-z_][\\w.-]{0,32}:)?${name}(?=[\\s/>])[^<>]{0,512}>`, "g");
  let start: number | undefined;
  for (let match = tag.exec(xml); match && found.length < ELEMENTS_MAX; match = tag.exec(xml)) {
    if (match[1] === "") {
      if (match[0].endsWith("/>")) continue;
      start ??= tag.lastIndex;
    } else if (start !== undefined) {
      found.push(xml.slice(start, match.index));
      start = undefined;
    }
  }
  return found;
}

/** The text of the first such element; undefined when there is none or it contains elements. */
export function textOf(xml: string, name: string): string | undefined {
  const inner = elements(xml, name)[0];
  return inner === undefined || inner.includes("<") ? undefined : unescape(inner).trim();
}

function unescape(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|([a-z]{2,4}));/g, (whole, ...parts) => {
    const [decimal, hex, name] = parts as (string | undefined)[];
    if (name !== undefined) return Object.hasOwn(ENTITIES, name) ? ENTITIES[name] : whole;
    const code = decimal !== undefined ? Number(decimal) : parseInt(hex!, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

/** Text made fit to stand inside an element. */
export function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
