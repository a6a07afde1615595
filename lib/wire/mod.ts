/**
 * Bytes to values and back: the header, armor, compression, fragments, and one file a verb.
 *
 * A payload is decoded by `decodeX(payload)` and written by `encodeX(value, w)`; what an OK carries
 * is in the file of the verb it answers. Decoders throw `WireError` and nothing else, and are
 * lenient where their table says so; those of lists whose elements count one by one return what
 * they read, see `partial.ts`.
 *
 * Leans on credential, identity, kernel and base. Read `packet.ts`, then `rendezvous.ts`, then `hello.ts`.
 * @module
 */
export * from "./ack.ts";
export * from "./armor.ts";
export * from "./beacon.ts";
export * from "./compress.ts";
export * from "./describe.ts";
export * from "./echo.ts";
export * from "./error.ts";
export * from "./ext_frame.ts";
export * from "./field_reader.ts";
export * from "./fragment.ts";
export * from "./frame.ts";
export * from "./gather_result.ts";
export * from "./hello.ts";
export * from "./multicast_frame.ts";
export * from "./multicast_gather.ts";
export * from "./multicast_like.ts";
export * from "./network_config.ts";
export * from "./network_config_request.ts";
export * from "./network_credentials.ts";
export * from "./ok.ts";
export * from "./packet.ts";
export * from "./partial.ts";
export * from "./path_negotiation.ts";
export * from "./push_direct_paths.ts";
export * from "./qos_measurement.ts";
export * from "./remote_trace.ts";
export * from "./rendezvous.ts";
export * from "./user_message.ts";
export * from "./version.ts";
export * from "./whois.ts";
