/**
 * What the state of a network means, and what to do about it, in words.
 * @module
 */
import type { NetworkInfo } from "../api/view.ts";

/** @param address Ours, ten digits: whom a controller would have to authorize */
export function networkStateText(network: NetworkInfo, address: string): string {
  const { nwid, status } = network;
  const controller = nwid.slice(0, 10);
  switch (status) {
    case "OK":
      return network.portDeviceName === "" ? "configured, waiting for the interface" : "connected";
    case "REQUESTING_CONFIGURATION":
      return `waiting for the controller ${controller} to answer; is it running, and on this planet?`;
    case "ACCESS_DENIED":
      return "waiting for authorization: on the controller, run `zt controller member authorize " +
        `${nwid} ${address}\``;
    case "NOT_FOUND":
      return `the controller ${controller} knows no such network; check the id`;
    case "PORT_ERROR":
      return "the virtual interface could not be made: run the service as root, and see its log";
    case "CLIENT_TOO_OLD":
      return "the controller wants a newer version of this program";
    case "AUTHENTICATION_REQUIRED":
      return signInText(network, address);
  }
}

/** Only a URL to open in a browser can be offered: OpenID Connect ends in an exchange we have no part in. */
function signInText({ authenticationURL, ssoVersion }: NetworkInfo, address: string): string {
  if (!authenticationURL) return "sign in first; ask whoever runs the network where";
  return ssoVersion === 0
    ? `sign in with a browser, and it goes on by itself: ${authenticationURL}`
    : `it wants a sign-in by OpenID Connect (${authenticationURL}), which zt does not speak: ` +
      `ask whoever runs the network to exempt ${address}`;
}

/** What is worth a line about a network that works: until when a sign-in holds. */
export function signedInText(network: NetworkInfo, nowMs: number): string | undefined {
  const { ssoEnabled, authenticationExpiryTime: untilMs = 0 } = network;
  if (!ssoEnabled || untilMs === 0) return undefined;
  const until = new Date(untilMs).toISOString().replace(/\.\d+Z$/, "Z");
  if (untilMs > nowMs) return `signed in until ${until}`;
  return `the sign-in has ended (${until}); sign in again: ${network.authenticationURL ?? ""}`;
}

/** One line about a network one has joined: interface and addresses. */
export function joinedText(network: NetworkInfo): string {
  const { nwid, name, portDeviceName, assignedAddresses } = network;
  const title = name === "" ? nwid : `${nwid} (${name})`;
  const addresses = assignedAddresses.join(", ") || "no address assigned";
  return `joined ${title}: ${portDeviceName} ${addresses}\n`;
}
