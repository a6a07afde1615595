/**
 * The parts of `vl2.json` that codecs and addressing are held to.
 * @module
 */
import { loadVectors } from "./load.ts";

export interface CredentialVector {
  type: "com" | "tag" | "capability" | "coo" | "revocation";
  name: string;
  hex: string;
  verify: "ok" | "bad" | "decodeError";
  fields: {
    consumed?: number;
    issuedTo?: string;
    maxDelta?: string;
    nwid: string;
    signedBy?: string;
    timestamp?: string;
    id?: number;
    value?: number;
    flags?: number;
    custody?: { from: string; to: string }[];
    maxCustodyChainLength?: number;
    things?: { type: number; value: string }[];
    credentialId?: number;
    credentialType?: number;
    target?: string;
    threshold?: string;
    signedMessageHex?: string;
  };
  signedMessageHex?: string;
}

export interface ChunkVector {
  chunkIndex: number;
  chunkLen: number;
  chunkOffsetInPayload: number;
  configUpdateId: string;
  flags: number;
  payload: string;
  to: string;
  totalLength: number;
  verb: number;
}

export interface Vl2Vectors {
  timestamp: string;
  maxDelta: string;
  networkId: string;
  identities: Record<
    string,
    { address: string; public: string; secret: string; publicKeyHashSha384: string }
  >;
  mac: { address: string; nwid: string; mac: string; back: string }[];
  deviceNames: { nwid: string; device: string; collisions: number }[];
  ipv6: { address: string; nwid: string; rfc4193: string; sixplane: string }[];
  addressResolutionGroups: { ip: string; mac: string; adi: number }[];
  ipScope: { ip: string; scope: string; scopeId: number }[];
  adhoc: {
    memberAddress: string;
    networks: {
      nwid: string;
      name: string;
      status: string;
      type: string;
      mtu: number;
      mac: string;
      portDeviceName: string;
      assignedAddresses: string[];
      routes: string[];
      bridge: boolean;
      broadcastEnabled: boolean;
      netconfRevision: number;
    }[];
  };
  dictionary: {
    entries?: { key: string; valueHex: string }[];
    encodedHex?: string;
    rawText?: string;
    typedEncodedText?: string;
    lookup?: { key: string; len: number; valueHex: string; asUint?: string; asBool?: boolean }[];
  }[];
  credentials: CredentialVector[];
  comAgreement: {
    name: string;
    mine: string;
    theirs: string;
    theirIdentity: string;
    agrees: boolean;
  }[];
  cooOwns: { value: string; owns: boolean }[];
  networkConfig: {
    dictionaryHex: string;
    decodedEntries: Record<string, string | { hex: string }>;
    keyOrder: string[];
    parses: boolean;
  };
  configChunks: { okSingle: ChunkVector[]; okMulti: ChunkVector[]; push: ChunkVector[] };
}

export const vl2 = loadVectors<Vl2Vectors>("vl2.json");
