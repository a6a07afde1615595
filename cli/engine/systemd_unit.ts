/**
 * The systemd unit of the service: starts it at boot and again when it fails, and is its sandbox.
 * What a node does not need is taken away: it keeps the three capabilities DESIGN.md names, one
 * device, its home folder, and `resolv.conf` for the networks that may set it.
 *
 * Source: systemd.service(5), systemd.exec(5), systemd.resource-control(5).
 * @module
 */
import { UsageError } from "../../lib/base/errors.ts";
import type { ProgramCommand } from "./self_command.ts";

const CAPABILITIES = "CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE";
const EXIT_USAGE = 2; // wrong words stay wrong: no reason to start again

/**
 * @param program What runs `zt`, without the words of the command
 * @param home Absolute path
 * @param port Of `-p`, when the user gave one
 * @throws {UsageError} when a path cannot stand in a unit
 */
export function systemdUnit(program: ProgramCommand, home: string, port?: number): string {
  const words = [
    program.path,
    ...program.args,
    "service",
    "-D",
    home,
    ...(port === undefined ? [] : ["-p", `${port}`]),
  ];
  const inHomes = [program.path, ...program.args, home].some((path) =>
    /^(file:\/\/)?\/(home|root|run\/user)\//.test(path)
  );
  return `[Unit]
Description=zt, a virtual Ethernet between machines
After=network.target

[Service]
Type=exec
ExecStartPre=+/bin/mkdir -p -m 0700 ${quoted(home)}
ExecStart=${words.map(quoted).join(" ")}
Restart=on-failure
RestartSec=1
RestartPreventExitStatus=${EXIT_USAGE}
KillMode=mixed

CapabilityBoundingSet=${CAPABILITIES}
NoNewPrivileges=yes
DevicePolicy=closed
DeviceAllow=/dev/net/tun rw
ProtectSystem=strict
ReadWritePaths=${quoted(`-${home}`)} -/etc/resolv.conf
${inHomes ? "" : "ProtectHome=yes\n"}PrivateTmp=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictSUIDSGID=yes
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
`;
}

/** As systemd reads it: in quotes, with what it would expand doubled. */
function quoted(word: string): string {
  if (/[\p{Cc}]/u.test(word)) throw new UsageError(`a unit cannot name ${JSON.stringify(word)}`);
  if (/^[\w@%+=:,./-]+$/.test(word) && !word.includes("%")) return word;
  const escaped = word.replace(/[\\"]/g, "\\$&").replace(/[%$]/g, "$&$&");
  return `"${escaped}"`;
}
