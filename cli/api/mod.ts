/**
 * The local HTTP API: what it needs ({@linkcode ServiceView}), who may use it, its routes as pure functions, the
 * server around them and the client commands use. Leans on `lib/base` alone. Read `view.ts` first, then `routes.ts`.
 * @module
 */
export * from "./auth.ts";
export * from "./client.ts";
export * from "./response.ts";
export * from "./routes.ts";
export * from "./server.ts";
export * from "./view.ts";
