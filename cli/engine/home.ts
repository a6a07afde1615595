/**
 * The home folder: reading, atomic writing, setting torn files aside, and the lock that keeps a second service out.
 *
 * Source: spec 06 section 2, spec 03 section 25.
 * @module
 */
import { existsSync } from "node:fs";
import { UsageError } from "../../lib/base/errors.ts";
import { text, utf8 } from "../../lib/base/bytes.ts";
import { fileReason } from "./file_error.ts";
import { freeName } from "./free_name.ts";

const SECRET_MODE = 0o600;
const FOLDER_MODE = 0o700; // only where we make the folder: secrets live in it
const LOCK_FILE = "service.lock";
const LOCK_PATIENCE_MS = 400; // a free lock is ours within one; a held one stays held
const FILE_MAX_BYTES = 64 * 1024 * 1024; // bounds memory against a foreign file under one of our names

/** Something in the home folder is not as it must be; the message is one line that says what to do. */
export class HomeError extends Error {
  override name = "HomeError";
}

/** How a file is written. */
export interface WriteOptions {
  /** Permissions, e.g. 0o600; the process default otherwise. */
  mode?: number;
  /** A cache: not worth waiting for the disk. After a power failure it may be torn or empty. */
  cache?: boolean;
}

/** A lock held: released with {@linkcode HomeLock.release}, or by the end of the process, however it ends. */
export interface HomeLock {
  release(): void;
}

/** One home folder. Names are relative to it: "planet", "networks.d/8056c2e21c000001.conf". */
export class Home {
  /** @param path Need not exist yet: {@linkcode Home.create} makes it */
  constructor(readonly path: string) {}

  /** Root's. */
  static readonly OF_MACHINE = "/var/lib/zt";

  /** Where a home is when nobody says: /var/lib/zt for root, else below the user's state folder. */
  static defaultPath(): string {
    if (Deno.uid() === 0) return Home.OF_MACHINE;
    const state = Deno.env.get("XDG_STATE_HOME");
    if (state?.startsWith("/")) return `${state}/zt`;
    const user = Deno.env.get("HOME");
    if (!user) throw new UsageError("HOME is not set: name a home folder with -D <path>");
    return `${user}/.local/state/zt`;
  }

  /** Full path of a file in it. */
  pathOf(name: string): string {
    return `${this.path}/${name}`;
  }

  exists(): boolean {
    return stat(this.path)?.isDirectory ?? false;
  }

  /** @throws {HomeError} when it cannot be made or is no folder */
  create(): void {
    try {
      Deno.mkdirSync(this.path, { recursive: true, mode: FOLDER_MODE });
    } catch (error) {
      throw new HomeError(`cannot make the home folder ${this.path}: ${reasonOf(error)}`);
    }
  }

  /**
   * @returns undefined when there is no such file
   * @throws {HomeError} when it is there but cannot be read
   */
  readBytes(name: string): Uint8Array | undefined {
    const path = this.pathOf(name);
    try {
      const { size, isFile } = Deno.statSync(path);
      if (!isFile) throw new HomeError(`${path} is not a file; move it away`);
      if (size > FILE_MAX_BYTES) throw new HomeError(`${path} is too large; move it away`);
      return Deno.readFileSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      if (error instanceof HomeError) throw error;
      throw new HomeError(`cannot read ${path}: ${reasonOf(error)}`);
    }
  }

  /** The same as text, malformed UTF-8 replaced. */
  readText(name: string): string | undefined {
    const bytes = this.readBytes(name);
    return bytes && text(bytes);
  }

  /**
   * Whether there is anything of that name; asked of a name that is not there, a fifth of what the
   * others here cost.
   */
  has(name: string): boolean {
    return existsSync(this.pathOf(name));
  }

  /** When the file was last changed, in epoch milliseconds; undefined when there is none. */
  modifiedMs(name: string): number | undefined {
    return stat(this.pathOf(name))?.mtime?.getTime();
  }

  /**
   * Writes a file whole or not at all: temporary file, fsync, rename. Makes folders on the way. Content that is there
   * already is not written again.
   * @throws {HomeError} when the disk or the permissions say no; the old content is then still there
   */
  write(name: string, content: string | Uint8Array, options: WriteOptions = {}): void {
    const bytes = typeof content === "string" ? utf8(content) : content;
    const path = this.pathOf(name);
    if (this.#holds(name, bytes, options.mode)) return;
    const temporary = `${path}.tmp-${Deno.pid}`;
    try {
      Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: FOLDER_MODE });
      removeIfThere(temporary); // left by a crash of a process with our number
      writeWhole(temporary, bytes, options);
      Deno.renameSync(temporary, path);
    } catch (error) {
      tryRemove(temporary);
      throw new HomeError(`cannot write ${path}: ${reasonOf(error)}`);
    }
  }

  #holds(name: string, bytes: Uint8Array, mode: number | undefined): boolean {
    const found = stat(this.pathOf(name));
    if (!found?.isFile || found.size !== bytes.length) return false;
    if (mode !== undefined && ((found.mode ?? 0) & 0o777) !== mode) return false;
    const there = this.readBytes(name);
    return there !== undefined && there.every((byte, index) => byte === bytes[index]);
  }

  /** Names in a folder, sorted; none when there is no such folder. */
  list(folder: string): string[] {
    try {
      return [...Deno.readDirSync(this.pathOf(folder))].map((entry) => entry.name).sort();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw new HomeError(`cannot list ${this.pathOf(folder)}: ${reasonOf(error)}`);
    }
  }

  /** @returns false when there was nothing to remove */
  remove(name: string): boolean {
    try {
      Deno.removeSync(this.pathOf(name));
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw new HomeError(`cannot remove ${this.pathOf(name)}: ${reasonOf(error)}`);
    }
  }

  /** Gives a file another name; a file of that name is replaced. */
  rename(from: string, to: string): void {
    try {
      Deno.renameSync(this.pathOf(from), this.pathOf(to));
    } catch (error) {
      throw new HomeError(`cannot rename ${this.pathOf(from)}: ${reasonOf(error)}`);
    }
  }

  /**
   * Makes a secret readable by its owner alone; nothing happens when it is, or when there is none.
   * @throws {HomeError} when that cannot be: a secret others can read is none
   */
  protect(name: string): void {
    const found = stat(this.pathOf(name));
    if (!found || ((found.mode ?? 0) & 0o777) === SECRET_MODE) return;
    try {
      Deno.chmodSync(this.pathOf(name), SECRET_MODE);
    } catch (error) {
      throw new HomeError(`cannot protect ${this.pathOf(name)}: ${reasonOf(error)}`);
    }
  }

  /**
   * Renames a torn or foreign file to `<name>.bad-<n>`, so that nothing of it is lost.
   * @param reason What is wrong with it, e.g. "not a planet"
   * @returns One line for the log
   * @throws {HomeError} when it cannot be renamed; it is then still there
   */
  setAside(name: string, reason: string): string {
    const aside = freeName(`${this.pathOf(name)}.bad`)?.slice(this.path.length + 1);
    if (aside === undefined) throw new HomeError(`${this.pathOf(name)}: ${reason}; move it away`);
    this.rename(name, aside);
    return `${this.pathOf(name)}: ${reason}; set aside as ${aside}`;
  }

  /**
   * Takes the lock only one service can have. A crash releases it.
   * @throws {HomeError} when another service has it
   */
  async lock(): Promise<HomeLock> {
    this.create();
    const file = await this.#tryLock();
    if (!file) {
      throw new HomeError(
        `a service is already running on ${this.path}; end it with: zt service --stop`,
      );
    }
    noteHolder(file);
    return { release: () => file.close() };
  }

  /** The process that has the lock; undefined when nobody has, 0 when it did not say who it is. */
  async holder(): Promise<number | undefined> {
    if (!stat(this.pathOf(LOCK_FILE))) return undefined;
    const file = await this.#tryLock();
    file?.close();
    return file ? undefined : Number(this.readText(LOCK_FILE)) || 0;
  }

  /** Deno 2.4 has no tryLock: a lock that comes too late is given back at once. */
  async #tryLock(): Promise<Deno.FsFile | undefined> {
    const file = this.#openLock();
    const locked = file.lock(true).then(() => true);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), LOCK_PATIENCE_MS);
    });
    const won = await Promise.race([locked, late]);
    clearTimeout(timer);
    if (won) return file;
    locked.finally(() => file.close());
    return undefined;
  }

  #openLock(): Deno.FsFile {
    try {
      return Deno.openSync(this.pathOf(LOCK_FILE), {
        write: true,
        create: true,
        mode: SECRET_MODE,
      });
    } catch (error) {
      throw new HomeError(`cannot use the home folder ${this.path}: ${reasonOf(error)}`);
    }
  }
}

function stat(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch {
    return undefined;
  }
}

/** For {@linkcode Home.holder}; a full disk is no reason to do without the lock. */
function noteHolder(file: Deno.FsFile): void {
  try {
    file.truncateSync();
    file.writeSync(utf8(`${Deno.pid}`));
  } catch {
    // Then it is not said.
  }
}

function removeIfThere(path: string): void {
  if (stat(path)) Deno.removeSync(path);
}

/** After an error: a disk that fails may be read-only by now, and what failed first is what counts. */
function tryRemove(path: string): void {
  try {
    removeIfThere(path);
  } catch {
    // It stays.
  }
}

function writeWhole(path: string, bytes: Uint8Array, { mode, cache }: WriteOptions): void {
  const file = Deno.openSync(path, { write: true, createNew: true, mode });
  try {
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    if (!cache) file.syncSync();
  } finally {
    file.close();
  }
}

/** The system's reason, with what helps against it. */
function reasonOf(error: unknown): string {
  const remedy = error instanceof Deno.errors.PermissionDenied
    ? " (run as root, or name another with -D)"
    : "";
  return fileReason(error) + remedy;
}
