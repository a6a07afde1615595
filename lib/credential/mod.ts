/**
 * What a controller signs: memberships, tags, capabilities, ownerships, revocations, and the network configuration that
 * carries them. Values with codecs; who may do what with them is `lib/network/`'s and `lib/controller/`'s.
 *
 * Leans on identity, crypto and base. Read `tag.ts`, which has the shape of all the others, then `network_config.ts`.
 * @module
 */
export * from "./ad_hoc.ts";
export * from "./capability.ts";
export * from "./certificate_of_membership.ts";
export * from "./certificate_of_ownership.ts";
export * from "./config_chunk.ts";
export * from "./config_chunks.ts";
export * from "./dictionary.ts";
export * from "./network_config.ts";
export * from "./network_config_binary.ts";
export * from "./request_metadata.ts";
export * from "./revocation.ts";
export * from "./rule_codec.ts";
export * from "./tag.ts";
export type { PublicKeyOf, Verification } from "./signature.ts";
