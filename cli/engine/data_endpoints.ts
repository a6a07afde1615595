import { pathTag } from "../../lib/dataplane/path_tag.ts";
import type { Source } from "../../lib/dataplane/plane.ts";
import { RECORD_HEADER_LENGTH, RECORD_IP_AT } from "../../lib/dataplane/records.ts";

const ENDPOINTS = 4_096; // remembered by their tag, to name them in reports

/** Remote endpoints by their tags; the last one with a tag's low bits is kept. Allocates nothing once made. */
export class Endpoints {
  readonly #tags = new Int32Array(ENDPOINTS);
  readonly #sockets = new Uint32Array(ENDPOINTS);
  readonly #ports = new Uint16Array(ENDPOINTS);
  readonly #lengths = new Uint8Array(ENDPOINTS);
  readonly #ips = new Uint8Array(ENDPOINTS * 16);

  /** The tag of a source, which is remembered. */
  tag(source: Source): number {
    const { socketId, ip, ipAt, ipLength, port } = source;
    const tag = pathTag(socketId, ip, ipAt, ipLength, port);
    const i = tag & (ENDPOINTS - 1);
    if (this.#tags[i] === tag) return tag;
    this.#tags[i] = tag;
    this.#sockets[i] = socketId;
    this.#ports[i] = port;
    this.#lengths[i] = ipLength;
    for (let k = 0; k < ipLength; k++) this.#ips[i * 16 + k] = ip[ipAt + k];
    return tag;
  }

  /** Adds the endpoint of a tag to a record, if it is still known. */
  put(view: DataView, record: number, tag: number): void {
    const i = tag & (ENDPOINTS - 1);
    if (this.#tags[i] !== tag) return;
    view.setUint32(record + RECORD_HEADER_LENGTH, this.#sockets[i], true);
    const length = this.#lengths[i];
    view.setUint8(record + 1, length);
    for (let k = 0; k < length; k++) {
      view.setUint8(record + RECORD_IP_AT + k, this.#ips[i * 16 + k]);
    }
    view.setUint16(record + RECORD_HEADER_LENGTH + 4, this.#ports[i], true);
  }
}
