/**
 * Members of one network on the bench: each with a namespace and a TAP of its own and a data Worker
 * at work, their tables written by the test as control would. What escapes from a Worker is carried
 * to the other members by the test.
 * @module
 */
import { DataPlane } from "../../../../cli/engine/data_plane.ts";
import { Block } from "../../../../ffi/linux/block.ts";
import { BATCH_COUNT, ReceiveBatch } from "../../../../ffi/linux/mmsg.ts";
import { linux } from "../../../../ffi/linux/mod.ts";
import { Namespace } from "../../../../ffi/linux/namespace.ts";
import { hasFastAes } from "../../../../ffi/linux/libcrypto.ts";
import { LinuxSettings } from "../../../../ffi/linux/settings.ts";
import type { Tap, UdpSocket } from "../../../../ffi/machine.ts";
import { type Address, macOf } from "../../../../lib/base/ids.ts";
import { formatIp, type Ip, parseIp, parsePrefix } from "../../../../lib/base/ip.ts";
import { randomIdBlock } from "../../../../lib/node/packet_ids.ts";
import { dictionary, keyOf, NETWORK, noCredentials } from "../../lib/dataplane/rig.ts";

const SOCKET = 1;
const TAP = 4;
const SLOT_BYTES = 2_048;
const AES_FROM_BYTES = 700; // so that both ciphers are used

/** A datagram that a program on a station got. */
export interface Got {
  readonly from: { readonly ip: Ip; readonly port: number };
  readonly bytes: Uint8Array;
}

export class Station {
  readonly plane: DataPlane;
  readonly socket: UdpSocket = linux.openUdp({ ip: parseIp("127.0.0.1")!, port: 0 });
  readonly restarts: string[] = [];
  readonly failures: Error[] = [];
  /** Frames of programs that left the Worker for control: not the system's own, for groups and neighbours. */
  escaped = 0;
  /** Packets sent and frames received, as far as reported. */
  readonly traffic = { out: 0, in: 0 };
  readonly #namespace = Namespace.create();
  readonly #settings: LinuxSettings;
  readonly #tap: Tap;
  readonly #others: Station[] = [];
  readonly #program: UdpSocket;
  readonly #arena = new Block(BATCH_COUNT * SLOT_BYTES);
  readonly #batch = new ReceiveBatch(this.#arena, 0, SLOT_BYTES);
  readonly ip: Ip;

  constructor(readonly address: Address, index: number) {
    this.ip = parseIp(`10.5.0.${index}`)!;
    this.#settings = this.#namespace.run(() => new LinuxSettings());
    const mac = macOf(address, NETWORK);
    this.#tap = this.#namespace.run(() =>
      linux.openTap({ name: "zttest0", mac, mtu: 2_800, vnetHeader: true })
    );
    this.#settings.addAddress(this.#tap.index, parsePrefix(`${formatIp(this.ip)}/24`)!);
    this.#program = this.#namespace.run(() => linux.openUdp({ ip: this.ip, port: 0 }));
    this.plane = new DataPlane({
      onDatagram: () => {},
      onFrame: (_tap, bytes) => {
        if (isUnicastIpv4(bytes)) this.escaped++;
        for (const other of this.#others) other.#write(bytes.slice());
      },
      onTraffic: ({ packetsOut, packetsIn }) => {
        this.traffic.out += packetsOut;
        this.traffic.in += packetsIn;
      },
      onReset: () => this.#tell(),
      onRestart: (reason) => this.restarts.push(reason),
      onFailed: (error) => this.failures.push(error),
    }, {
      self: address,
      fastAes: hasFastAes(),
      takeIds: () =>
        randomIdBlock((bytes) => {
          crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>);
        }),
    });
    this.plane.start();
    this.plane.addSocket(SOCKET, this.socket.fd);
    const joinsUdp = this.#tap.offload === "udp";
    this.plane.addTap(TAP, this.#tap.fd, { headers: true, joinsUdp });
  }

  #write(frame: Uint8Array): void {
    this.plane.writeFrame(TAP, frame);
    this.plane.flush();
  }

  /** Makes members of all of them. */
  static introduce(stations: readonly Station[]): void {
    for (const station of stations) {
      station.#others.push(...stations.filter((other) => other !== station));
      station.#tell();
    }
  }

  /** Everything control knows. */
  #tell(): void {
    const { plane, address } = this;
    const mac = macOf(address, NETWORK);
    plane.apply({ kind: "network", slot: 0, id: NETWORK, port: TAP, mac, config: dictionary() });
    this.#others.forEach((other, slot) => {
      const key = keyOf(address, other.address);
      const aes = { k0: key, k1: key, from: AES_FROM_BYTES };
      plane.apply({ kind: "session", slot, address: other.address, key, aes });
      const { ip, port } = other.socket;
      plane.apply({
        kind: "route",
        session: slot,
        route: { socket: SOCKET, ip, port, mtu: 1_432 },
      });
      const credentials = noCredentials();
      plane.apply({ kind: "member", slot, network: 0, session: slot, admitted: true, credentials });
    });
    plane.flush();
  }

  /** A program here sends to one on another station. */
  send(to: Station, bytes: Uint8Array): void {
    this.#program.sendTo(bytes, to.#program);
  }

  /** What a program here got since last asked; never waits. */
  received(): Got[] {
    const got: Got[] = [];
    for (;;) {
      const count = this.#batch.receive(this.#program.fd);
      if (count === 0) return got;
      for (let i = 0; i < count; i++) {
        const at = this.#batch.payloadAt(i);
        const ipAt = this.#batch.ipAt(i);
        got.push({
          from: {
            ip: this.#batch.names.slice(ipAt, ipAt + this.#batch.ipLength(i)),
            port: this.#batch.port(i),
          },
          bytes: this.#arena.bytes.slice(at, at + this.#batch.payloadLength(i)),
        });
      }
    }
  }

  async close(): Promise<void> {
    await this.plane.stop();
    this.#tap.close();
    this.#program.close();
    this.socket.close();
    this.#settings.close();
    this.#namespace.close();
  }
}

function isUnicastIpv4(frame: Uint8Array): boolean {
  return (frame[0] & 1) === 0 && frame[12] === 0x08 && frame[13] === 0x00;
}

/** Waits, event loop and all. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** @throws when the condition does not come true within `withinMs` */
export async function until(
  what: string,
  condition: () => boolean,
  withinMs = 5_000,
): Promise<void> {
  const end = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await pause(2);
  }
}
