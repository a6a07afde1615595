/**
 * `zt service unit|install|uninstall`: the service in the hands of systemd.
 * @module
 */
import { SystemError, UsageError } from "../../lib/base/errors.ts";
import { type Call, command } from "../command.ts";
import { exists } from "../engine/free_name.ts";
import { type Home, HomeError } from "../engine/home.ts";
import { selfArgs } from "../engine/self_command.ts";
import { systemdUnit } from "../engine/systemd_unit.ts";
import { homeOf, render } from "./context.ts";

const UNIT_NAME = "zt.service";
const UNIT_FOLDER = "/etc/systemd/system";
const ROOT = 0;
const ELSEWHERE = "without systemd, start at boot: zt service --background";

/** Where systemd looks, and how it is told; tests have others. */
export interface Systemd {
  unitFolder: string;
  /** @throws {SystemError} with what it complained of */
  systemctl: (...words: string[]) => Promise<void>;
}

const thisSystemd: Systemd = { unitFolder: UNIT_FOLDER, systemctl };

/** `zt service unit`. */
export const unit = command("unit", "Print the systemd unit that `install` writes")
  .example("zt service unit > /etc/systemd/system/zt.service")
  .action((call) => {
    const text = unitText(call);
    render(call, { unit: text }, () => text);
  });

/** `zt service install`. */
export const install = command("install", "Let systemd run it, now and at every boot")
  .example("zt service install")
  .action(async (call) => {
    const path = await installUnit(call, thisSystemd);
    render(call, { installed: path }, () => `systemd runs it now and at every boot: ${path}\n`);
  });

/** `zt service uninstall`. */
export const uninstall = command("uninstall", "Take it out of the hands of systemd, and end it")
  .example("zt service uninstall")
  .note("The home folder stays as it is.")
  .action(async (call) => {
    const removed = await uninstallUnit(thisSystemd);
    const text = removed ? "ended, and not started any more" : "it was not installed";
    render(call, { removed }, () => `${text}\n`);
  });

function unitText(call: Call): string {
  const home = homeOf(call).path;
  if (!home.startsWith("/")) throw new UsageError(`-D must be an absolute path here, not ${home}`);
  const program = { path: Deno.execPath(), args: selfArgs() };
  return systemdUnit(program, home, call.global.port);
}

/**
 * Writes the unit and starts it; once more after an update of the program, too.
 * @returns its path
 */
export async function installUnit(
  call: Call,
  { unitFolder, systemctl }: Systemd,
): Promise<string> {
  const path = `${unitFolder}/${UNIT_NAME}`;
  const home = homeOf(call);
  const text = unitText(call);
  const isNew = !exists(path);
  if (isNew && await home.holder() !== undefined) {
    throw new HomeError(
      `a service runs on ${home.path} already; end it first: zt service --stop`,
    );
  }
  takeOver(home);
  write(path, text);
  try {
    await systemctl("daemon-reload");
  } catch (error) {
    if (isNew) Deno.removeSync(path); // there is no systemd to see it
    throw error;
  }
  await systemctl("enable", UNIT_NAME);
  await systemctl("restart", UNIT_NAME);
  return path;
}

/**
 * Makes what a home folder holds root's: in its sandbox the service has no rights over what is not,
 * and a folder copied from ZeroTier One belongs to a user of that name. Only its files, and folders
 * like `peers.d`: -D may name a folder that holds more.
 */
function takeOver(home: Home): void {
  if (Deno.uid() !== ROOT || !exists(home.pathOf("identity.secret"))) return;
  chownAll(home.path, (folder) => folder.endsWith(".d"));
}

function chownAll(path: string, isOurs: (folder: string) => boolean): void {
  Deno.chownSync(path, ROOT, ROOT);
  for (const { name, isDirectory, isFile } of Deno.readDirSync(path)) {
    if (isFile) Deno.chownSync(`${path}/${name}`, ROOT, ROOT);
    else if (isDirectory && isOurs(name)) chownAll(`${path}/${name}`, () => true);
  }
}

/** @returns false when there was no unit */
export async function uninstallUnit({ unitFolder, systemctl }: Systemd): Promise<boolean> {
  const path = `${unitFolder}/${UNIT_NAME}`;
  if (!exists(path)) return false;
  await systemctl("disable", "--now", UNIT_NAME);
  Deno.removeSync(path);
  await systemctl("daemon-reload");
  return true;
}

function write(path: string, text: string): void {
  try {
    Deno.writeTextFileSync(path, text);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new SystemError(`write ${path}`, "ENOENT", ELSEWHERE);
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new SystemError(`write ${path}`, "EACCES", "run as root");
    }
    throw error;
  }
}

async function systemctl(...words: string[]): Promise<void> {
  const operation = `systemctl ${words.join(" ")}`;
  let told: Deno.CommandOutput;
  try {
    told = await new Deno.Command("systemctl", { args: words, stdin: "null" }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new SystemError(operation, "ENOENT", ELSEWHERE);
  }
  if (told.success) return;
  const complaint = new TextDecoder().decode(told.stderr).trim().split("\n")[0];
  throw new SystemError(operation, complaint || `exit code ${told.code}`, ELSEWHERE);
}
