/**
 * What this process may do on this machine.
 * @module
 */
import { statfsSync } from "node:fs";
import { closeFd, O_RDWR, openPath, readTextFileIfAny, userId } from "../../../ffi/linux/system.ts";
import { SystemError } from "../../../lib/base/errors.ts";
import { type Home, HomeError } from "../home.ts";
import { readLocalConf } from "../home_files.ts";
import { unknownSettings } from "../settings.ts";
import type { MachineFacts } from "./facts.ts";

const CAP_NET_ADMIN_BIT = 12n;
const TRIAL_FILE = "doctor.tmp"; // written and removed: nothing else proves that a disk takes data

/** Looks at permissions, descriptors, the home folder and its disk. */
export function machineFacts(home: Home): MachineFacts {
  const limits = proc("/proc/self/limits");
  const capabilities = /^CapEff:\s*([0-9a-f]+)/m.exec(proc("/proc/self/status"))?.[1] ?? "0";
  const filesMax = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return {
    tun: tunState(),
    canAdminNetwork: (BigInt(`0x${capabilities}`) >> CAP_NET_ADMIN_BIT & 1n) === 1n,
    userId: userId(),
    openFiles: openFiles(),
    openFilesMax: filesMax === undefined ? null : Number(filesMax),
    home: home.path,
    homeTrouble: homeTrouble(home),
    homeFreeBytes: freeBytes(home),
    ...settingsFacts(home),
    clockMs: Date.now(),
  };
}

function proc(path: string): string {
  try {
    return readTextFileIfAny(path) ?? "";
  } catch (error) {
    if (error instanceof SystemError) return "";
    throw error;
  }
}

function tunState(): MachineFacts["tun"] {
  try {
    closeFd(openPath("/dev/net/tun", O_RDWR));
    return "ok";
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return error.code === "EACCES" || error.code === "EPERM" ? "denied" : "missing";
  }
}

/** Descriptors open now, the one that reads the folder included. */
function openFiles(): number | null {
  try {
    return [...Deno.readDirSync("/proc/self/fd")].length;
  } catch {
    return null; // short of all permissions Deno does not let us look
  }
}

function homeTrouble(home: Home): string | null {
  if (!home.exists()) return "it does not exist yet";
  try {
    home.write(TRIAL_FILE, `${Date.now()}`);
    home.remove(TRIAL_FILE);
    return null;
  } catch (error) {
    if (error instanceof HomeError) return error.message;
    throw error;
  }
}

/** Read anew: a service goes on with what it read before. */
function settingsFacts(home: Home): Pick<MachineFacts, "settingsTrouble" | "settingsUnknown"> {
  try {
    const settingsUnknown = unknownSettings(readLocalConf(home));
    return { settingsTrouble: null, settingsUnknown };
  } catch (error) {
    if (error instanceof HomeError) {
      return { settingsTrouble: error.message, settingsUnknown: [] };
    }
    throw error;
  }
}

function freeBytes(home: Home): number | null {
  try {
    const { bavail, bsize } = statfsSync(home.path);
    return Number(bavail) * Number(bsize);
  } catch {
    return null; // no such folder, or no permission to ask
  }
}
