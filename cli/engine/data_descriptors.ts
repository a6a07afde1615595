/**
 * What the data Worker waits for: the eventfd that wakes it, sockets, TAPs and signals.
 * @module
 */
import { SendBatch } from "../../ffi/linux/mmsg.ts";
import { PollSet } from "../../ffi/linux/system.ts";
import { assert } from "../../lib/base/errors.ts";
import { RecordKind, SOCKET_CUTS, TAP_HEADERS } from "../../lib/dataplane/records.ts";
import { TapAnswers } from "./tap_answers.ts";

/** Most descriptors of all kinds: addresses times ports, plus one per network; bounds each poll. */
export const DESCRIPTORS_MAX = 1_024;
/** Bytes of the virtio header before a frame, where a TAP has them. */
export const VNET_HEADER_LENGTH = 10;

export type AddKind =
  | typeof RecordKind.ADD_SOCKET
  | typeof RecordKind.ADD_TAP
  | typeof RecordKind.ADD_SIGNAL;

export interface Descriptor {
  readonly kind: AddKind;
  /** As control names it, unique among those of its kind. */
  readonly id: number;
  readonly fd: number;
  readonly batch: SendBatch | undefined; // of a socket
  readonly vnet: number; // bytes of virtio header, of a TAP
  lastReadMs: number; // of a TAP
  readonly answers: TapAnswers; // of a TAP
}

export class Descriptors {
  /** In the order of {@linkcode poll}, one later there: the eventfd is first. A new array when one comes or goes. */
  list: readonly Descriptor[] = [];
  readonly sockets = new Map<number, Descriptor>();
  readonly taps = new Map<number, Descriptor>();
  readonly poll = new PollSet(DESCRIPTORS_MAX + 1);

  /** @param wakeFd The eventfd */
  constructor(readonly wakeFd: number) {
    this.#setPoll();
  }

  /** @param flags As in the record */
  add(kind: AddKind, id: number, fd: number, flags: number): Descriptor {
    assert(this.list.length < DESCRIPTORS_MAX, "control bounds the number of descriptors");
    const isSocket = kind === RecordKind.ADD_SOCKET;
    const hasHeaders = kind === RecordKind.ADD_TAP && (flags & TAP_HEADERS) !== 0;
    const descriptor: Descriptor = {
      kind,
      id,
      fd,
      batch: isSocket ? new SendBatch(fd, (flags & SOCKET_CUTS) !== 0) : undefined,
      vnet: hasHeaders ? VNET_HEADER_LENGTH : 0,
      lastReadMs: -Infinity,
      answers: new TapAnswers(),
    };
    this.list = [...this.list, descriptor];
    this.#tableOf(kind)?.set(id, descriptor);
    this.#setPoll();
    return descriptor;
  }

  find(kind: AddKind, id: number): Descriptor | undefined {
    return this.list.find((one) => one.kind === kind && one.id === id);
  }

  remove(descriptor: Descriptor): void {
    this.list = this.list.filter((one) => one !== descriptor);
    this.#tableOf(descriptor.kind)?.delete(descriptor.id);
    this.#setPoll();
  }

  #tableOf(kind: AddKind): Map<number, Descriptor> | undefined {
    if (kind === RecordKind.ADD_SOCKET) return this.sockets;
    return kind === RecordKind.ADD_TAP ? this.taps : undefined;
  }

  #setPoll(): void {
    this.poll.set([this.wakeFd, ...this.list.map(({ fd }) => fd)]);
  }
}
