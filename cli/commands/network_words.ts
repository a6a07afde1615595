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
      return `sign in first: ${network.authenticationURL ?? "ask whoever runs the network"}`;
  }
}

/** One line about a network one has joined: interface and addresses. */
export function joinedText(network: NetworkInfo): string {
  const { nwid, name, portDeviceName, assignedAddresses } = network;
  const title = name === "" ? nwid : `${nwid} (${name})`;
  const addresses = assignedAddresses.join(", ") || "no address assigned";
  return `joined ${title}: ${portDeviceName} ${addresses}\n`;
}
