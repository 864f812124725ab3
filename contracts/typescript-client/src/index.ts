export type * from "../../typescript/socket.js";
export { CLOSES, ERRORS, SUBPROTOCOL, VERSION } from "../../typescript/socket.js";
export { Client, Refused, SignedOut, type Options, type Ticket } from "./client.js";
export { Core, reactionTo } from "./core.js";
export { SETTINGS, type Decision, type Happening, type RoomEvent } from "./decisions.js";
export type { Settings } from "./decisions.js";
