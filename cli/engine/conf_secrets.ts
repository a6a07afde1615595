/**
 * What of `local.conf` is shown to nobody: user and password of an HTTP proxy. Everything that
 * leaves the machine's own file goes through here: the local API, a dump, and what is said of a
 * file that is no JSON.
 * @module
 */
import { isObject, type Json, type JsonObject } from "./json.ts";
import { formatHttpProxy, parseHttpProxy } from "./tcp/http_proxy.ts";

const HIDDEN = "***";

/** `local.conf` as it may be shown. */
export function redactedConf(conf: JsonObject): JsonObject {
  const { settings } = conf;
  if (!isObject(settings) || settings.httpProxy === undefined) return conf;
  return { ...conf, settings: { ...settings, httpProxy: redactedProxy(settings.httpProxy) } };
}

/** Its text, whether it is JSON or not. */
export function redactedConfText(text: string): string {
  return text.replace(
    /("httpProxy"\s*:\s*)"((?:[^"\\\n]|\\.)*)/g,
    (_, key: string, value: string) => `${key}"${redactedProxy(value)}`,
  );
}

/** A change somebody asks for, without a proxy that was only shown to him: writing it would lose the password. */
export function withoutRedacted(change: JsonObject): JsonObject {
  const { httpProxy, ...others } = change;
  return typeof httpProxy === "string" && httpProxy.includes(HIDDEN) ? others : change;
}

/** What a parser complains of, without the piece of the text it quotes. */
export function withoutQuotation(complaint: string): string {
  return complaint.replace(/, .*(?= is not valid JSON)/s, "");
}

function redactedProxy(value: Json): Json {
  if (value === null || value === "none" || value === "") return value;
  const proxy = typeof value === "string" ? parseHttpProxy(value) : undefined;
  if (!proxy) return HIDDEN; // a password may stand anywhere in it
  return `http://${proxy.authorization ? `${HIDDEN}@` : ""}${formatHttpProxy(proxy)}`;
}
