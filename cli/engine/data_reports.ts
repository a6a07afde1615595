/**
 * What the data Worker tells control of its traffic: which sessions had some, by which path, how
 * many packets; which flows were passed on. Told a while after the first packet, so that control
 * sleeps through most of it.
 * @module
 */
import type { Plane } from "../../lib/dataplane/plane.ts";
import {
  NO_SOCKET,
  putRecord,
  RECORD_HEADER_LENGTH,
  RecordKind,
  RELAYED_LENGTH,
  TRAFFIC_DIRECT,
  TRAFFIC_LENGTH,
  TRAFFIC_RECEIVED_AT,
  TRAFFIC_RELAYED,
} from "../../lib/dataplane/records.ts";
import type { Endpoints } from "./data_endpoints.ts";
import type { RingWriter } from "./ring.ts";

const REPORT_MS = 100; // how often control hears of traffic

/** What control was last told of a session. */
interface SessionReport {
  readonly slot: number;
  direct: number;
  relayed: number;
  sent: number;
  delivered: number;
}

/** What control was last told of a flow. */
interface RelayReport {
  readonly slot: number;
  packets: number;
  bytes: number;
}

/** What the reports are made from, and where they go. */
export interface ReportSources {
  readonly plane: Plane;
  readonly endpoints: Endpoints;
  readonly ring: RingWriter;
  /** Bytes of the ring that are not for reports. */
  readonly spareBytes: number;
}

export class DataReports {
  /** When the next report is due; Infinity while there is nothing to tell. */
  dueMs = Infinity;
  readonly #sources: ReportSources;
  readonly #sessions: SessionReport[] = []; // bounded by the tables of the plane, as are the flows
  readonly #flows: RelayReport[] = [];

  constructor(sources: ReportSources) {
    this.#sources = sources;
  }

  addSession(slot: number): void {
    this.removeSession(slot);
    this.#sessions.push({ slot, direct: 0, relayed: 0, sent: 0, delivered: 0 });
  }

  removeSession(slot: number): void {
    const index = this.#sessions.findIndex((report) => report.slot === slot);
    if (index >= 0) this.#sessions.splice(index, 1);
  }

  addFlow(slot: number): void {
    this.removeFlow(slot);
    this.#flows.push({ slot, packets: 0, bytes: 0 });
  }

  removeFlow(slot: number): void {
    const index = this.#flows.findIndex((report) => report.slot === slot);
    if (index >= 0) this.#flows.splice(index, 1);
  }

  /** There was traffic: a report is due soon, if there is anyone to tell of. */
  expect(nowMs: number): void {
    if (this.dueMs !== Infinity) return;
    if (this.#sessions.length > 0 || this.#flows.length > 0) this.dueMs = nowMs + REPORT_MS;
  }

  /** Tells what is new since the last word. */
  send(): void {
    this.dueMs = Infinity;
    for (const flow of this.#flows) {
      if (!this.#sendFlow(flow)) return; // control is behind: the next report says it all
    }
    for (const session of this.#sessions) {
      if (!this.#sendSession(session)) return;
    }
  }

  /** @returns whether there was room, or no need for it */
  #sendFlow(report: RelayReport): boolean {
    const { plane: { relays }, ring, spareBytes } = this.#sources;
    const packets = relays.packets(report.slot);
    if (packets === report.packets) return true;
    const bytes = relays.bytes(report.slot);
    const record = ring.reserve(RECORD_HEADER_LENGTH + RELAYED_LENGTH, spareBytes);
    if (record < 0) return false;
    putRecord(ring.view, record, RecordKind.RELAYED, report.slot, packets - report.packets);
    ring.view.setFloat64(record + RECORD_HEADER_LENGTH, bytes - report.bytes, true);
    ring.commit();
    report.packets = packets;
    report.bytes = bytes;
    return true;
  }

  #sendSession(report: SessionReport): boolean {
    const { plane, endpoints, ring, spareBytes } = this.#sources;
    const { slot } = report;
    const direct = plane.sessions.directTick(slot);
    const relayed = plane.sessions.relayedTick(slot);
    const sent = plane.sent(slot);
    const delivered = plane.delivered(slot); // whatever came has moved a tick too
    const cameDirect = direct !== report.direct;
    const cameRelayed = relayed !== report.relayed;
    if (!cameDirect && !cameRelayed && sent === report.sent) return true;
    const record = ring.reserve(RECORD_HEADER_LENGTH + TRAFFIC_LENGTH, spareBytes);
    if (record < 0) return false;
    const flags = cameDirect ? TRAFFIC_DIRECT : cameRelayed ? TRAFFIC_RELAYED : 0;
    putRecord(ring.view, record, RecordKind.TRAFFIC, slot, sent - report.sent, flags);
    ring.view.setUint32(record + RECORD_HEADER_LENGTH, NO_SOCKET, true);
    ring.view.setUint32(record + TRAFFIC_RECEIVED_AT, delivered - report.delivered, true);
    if (cameDirect) endpoints.put(ring.view, record, plane.sessions.directTag(slot));
    else if (cameRelayed) endpoints.put(ring.view, record, plane.sessions.relayedTag(slot));
    ring.commit();
    report.direct = direct;
    report.relayed = relayed;
    report.sent = sent;
    report.delivered = delivered;
    return true;
  }
}
