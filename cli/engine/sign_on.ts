/**
 * Single sign-on of a network as the local API shows it: where to sign in, and until when that holds.
 *
 * Source: spec 06 section 4.3, spec 04 section 7.2.
 * @module
 */
import { Dictionary } from "../../lib/credential/dictionary.ts";
import type { Network } from "../../lib/network/network.ts";
import type { NetworkInfo } from "../api/view.ts";

/** The part of a network that says so. */
export type SignOnState = Pick<Network, "config" | "refusal" | "authentication">;

/** Fields of the network object; none when the network has no single sign-on. */
export function signOnInfo({ config, refusal, authentication }: SignOnState): Partial<NetworkInfo> {
  const expiryMs = config?.sso.expiryMs ?? 0;
  // A refusal is newer than the configuration held, and often all there is.
  if (refusal === "AUTHENTICATION_REQUIRED") {
    const data = Dictionary.decode(authentication ?? new Uint8Array(0));
    return {
      ssoEnabled: true,
      ssoVersion: data.getNumber("aV"),
      authenticationURL: data.getText("aU") || data.getText("iU"),
      authenticationExpiryTime: expiryMs,
    };
  }
  if (!config?.sso.enabled) return {};
  return {
    ssoEnabled: true,
    ssoVersion: config.sso.version,
    authenticationURL: config.sso.authenticationUrl || config.sso.issuerUrl,
    authenticationExpiryTime: expiryMs,
  };
}
