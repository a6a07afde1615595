/**
 * The program in this process, with a home folder and a service it finds there.
 * @module
 */
import { libc } from "../../../ffi/linux/libc.ts";
import { type ApiServer, openApiServer } from "../../../cli/api/server.ts";
import type { StatusInfo } from "../../../cli/api/view.ts";
import { run } from "../../../cli/main.ts";
import { FakeService } from "./api/fake_service.ts";

export const TOKEN = "t".repeat(24);
libc(); // loaded once and for good, which Deno 2.4 takes for a leak of the test that happens to be first
export const ID = "8056c2e21c000001";

/** What a run of the program came to. */
export interface Ran {
  out: string;
  err: string;
  exit: number;
}

/** Runs the program in this process. */
export async function zt(argv: string[], programPath?: string): Promise<Ran> {
  const ran: Ran = { out: "", err: "", exit: -1 };
  const io = {
    out: (text: string) => void (ran.out += text),
    err: (text: string) => void (ran.err += text),
  };
  ran.exit = await run(argv, io, programPath);
  return ran;
}

/** Gives a home folder of its own, removed afterwards. */
export async function inHome(use: (home: string) => Promise<void>): Promise<void> {
  const home = Deno.makeTempDirSync({ prefix: "zt-main-" });
  try {
    await use(home);
  } finally {
    Deno.removeSync(home, { recursive: true });
  }
}

/** A service whose home folder commands find. */
export function withService(
  use: (service: FakeService, home: string, server: ApiServer) => Promise<void>,
): Promise<void> {
  return inHome(async (home) => {
    const service = new FakeService({
      address: "19810bb6a3",
      publicIdentity: "19810bb6a3:0:e7e3",
      online: true,
      planetWorldId: 0xffff_ffff_ffff_ffffn,
      version: "1.14.1",
      ztVersion: "0.1.0",
      config: { settings: { homeDir: home, listeningOn: ["10.0.0.1/9993"], surfaceAddresses: [] } },
    } as unknown as StatusInfo);
    const policy = { authToken: TOKEN, metricsToken: "m", allowManagementFrom: () => [] };
    const server = openApiServer({ view: service, policy, port: 0 });
    Deno.writeTextFileSync(`${home}/zerotier-one.port`, String(server.port));
    Deno.writeTextFileSync(`${home}/authtoken.secret`, TOKEN);
    try {
      await use(service, home, server);
    } finally {
      await server.close();
    }
  });
}
