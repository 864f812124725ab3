// Lets the conformance kit drive the client in TypeScript: `node driver.mjs <the built index.js>`.
// Commands come as JSON lines, reports go as JSON lines; README.md beside this file names them.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { Client, SignedOut } = await import(pathToFileURL(process.argv[2]).href);
const PREFIX = "/api/v1";
let client = null;
let ask = null;

function saw(what, report) {
  process.stdout.write(`${JSON.stringify({ saw: what, ...report })}\n`);
}

function heard(happening) {
  switch (happening.kind) {
    case "connected":
      return saw("connected", { number: happening.number });
    case "event": {
      const { room, seq, t } = happening.event;
      return saw("event", { room, seq, t });
    }
    case "snapshot_needed":
      return saw("snapshot_needed", { room: happening.room });
    case "lost":
      return saw("lost", { room: happening.room, reason: happening.reason });
    case "waiting": {
      const { code, sourceError } = happening;
      return saw("waiting", { code, source_failed: sourceError !== null });
    }
    case "stopped":
      return saw("stopped", { code: happening.code });
  }
}

function answered(as, answer) {
  answer.then(
    (ok) => saw("reply", { as, ok }),
    ({ code, retry }) => saw("reply", { as, err: { code, retry } }),
  );
}

const COMMANDS = {
  open({ gateway, token, time_scale: timeScale }) {
    ask = async (method, path) => {
      const headers = { authorization: `Bearer ${token}` };
      const answer = await fetch(gateway + PREFIX + path, { method, headers });
      if (answer.status === 401) throw new SignedOut();
      if (!answer.ok) throw new Error(String(answer.status));
      return await answer.json();
    };
    const source = async () => await ask("POST", "/realtime/connect");
    client = new Client({ source, onHappening: heard, settings: { timeScale } });
    client.start();
  },
  follow: ({ room, cursor }) => client.follow(room, cursor ?? null),
  unfollow: ({ room }) => client.unfollow(room),
  send: ({ room, text, cid, as }) => answered(as, client.send(room, text, { cid })),
  command: ({ op, room, d, as }) => answered(as, client.command(op, d, room)),
  async read({ room }) {
    const { ep, seq } = await ask("GET", `/chat/rooms/${room}/messages`);
    client.resumeFrom(room, { ep, seq });
    saw("read", { room, seq });
  },
  clock: () => saw("clock", { offset_ms: client.clockOffsetMs }),
  close() {
    client?.stop();
    client = null;
    saw("closed", {});
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { do: what, ...command } = JSON.parse(line);
  await COMMANDS[what](command);
}
