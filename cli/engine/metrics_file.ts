/**
 * `metrics.prom` in the home folder: the same text `GET /metrics` answers, for collectors that read files.
 *
 * Source: spec 06 sections 2.1 and 8.
 * @module
 */
import { messageOf } from "../../lib/base/errors.ts";
import type { Home } from "./home.ts";

const FILE = "metrics.prom";
/** Between two writes; reference 5 s. */
const METRICS_EVERY_MS = 5_000;

/** Keeps the file fresh. Not synced to the disk: after a crash the next run writes it anew anyway. */
export class MetricsFile {
  readonly #home: Home;
  readonly #render: () => string;
  readonly #log: (line: string) => void;
  #timer: ReturnType<typeof setInterval> | undefined;
  #writing: Promise<void> | undefined;
  #complained = false;

  constructor(home: Home, render: () => string, log: (line: string) => void) {
    this.#home = home;
    this.#render = render;
    this.#log = log;
  }

  /** Writes now and every five seconds. */
  start(): void {
    this.refresh();
    this.#timer = setInterval(() => this.refresh(), METRICS_EVERY_MS);
  }

  /** Writes, unless the disk has not taken the text of before yet. */
  refresh(): void {
    this.#writing ??= this.#write().finally(() => this.#writing = undefined);
  }

  async #write(): Promise<void> {
    const path = this.#home.pathOf(FILE);
    const temporary = `${path}.tmp-${Deno.pid}`;
    try {
      await Deno.writeTextFile(temporary, this.#render());
      await Deno.rename(temporary, path); // a reader sees one text or the other
    } catch (error) {
      if (!this.#complained) {
        this.#log(`cannot write ${path}: ${messageOf(error)}`);
      }
      this.#complained = true; // once: a full disk stays full for a while
      await Deno.remove(temporary).catch(() => {}); // half of it would take the last room
    }
  }

  /** @returns when nothing is written any more */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
  }
}
