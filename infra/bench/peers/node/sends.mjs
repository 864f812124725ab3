// Durable sends as a Node service does them with `pg`: a transaction per message, with the same
// guarantees as ours. The room is locked by taking its next number, and message, log entry and
// outbox row are written beside it. It is spared what ours also does: to look at standings and
// earlier client ids, to hash the body, to look for links, to tell live listeners.
//
// Each line on stdin asks for one measurement, each line on stdout answers it. Statements are
// prepared once per connection, by name.
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [packages, url, connections] = process.argv.slice(2);
const { Pool } = createRequire(`${packages}/package.json`)("pg");
const pool = new Pool({ connectionString: url, max: Number(connections) });

const NUMBER = {
  name: "number",
  text: "UPDATE chat.room SET last_seq = last_seq + 1 WHERE id = $1 RETURNING last_seq, acl_epoch",
};
const MESSAGE = {
  name: "message",
  text: `INSERT INTO chat.message
    (id, room_id, seq, author_id, text, cid, body_sha256, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
};
const LOG = {
  name: "log",
  text: `INSERT INTO chat.room_log (room_id, seq, type, acl_epoch, message_id, author_id, data, at)
    VALUES ($1, $2, 'message.created', $3, $4, $5, $6, $7)`,
};
const EVENT = {
  name: "event",
  text: `INSERT INTO chat.outbox (event_id, subject, ordering_key, headers, payload)
    VALUES ($1, $2, $3, $4, $5)`,
};
const DIGEST = Buffer.alloc(32);

/** UUIDv7, as ours are, so that the indexes are filled alike. */
function uuid7() {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)]
    .join("-");
}

async function send(author, room, text) {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    const { rows: [head] } = await client.query({ ...NUMBER, values: [room] });
    const id = uuid7();
    const cid = uuid7();
    const at = new Date();
    await client.query({
      ...MESSAGE,
      values: [id, room, head.last_seq, author, text, cid, DIGEST, at],
    });
    const data = JSON.stringify({
      id, author_id: author, type: "TEXT", text, cid, parent_id: null, edit_version: 0,
      created_at: at, mentions: [], links: [], cards: [],
    });
    await client.query({
      ...LOG,
      values: [room, head.last_seq, head.acl_epoch, id, author, data, at],
    });
    const eventId = uuid7();
    const headers = JSON.stringify({
      "Nats-Msg-Id": eventId, "ce-specversion": "1.0", "ce-id": eventId,
      "ce-type": "chat.message.sent.v1", "ce-source": "/seda/chat-realtime", "ce-time": at,
      "ce-partitionkey": room, "content-type": "application/json",
    });
    const payload = Buffer.from(JSON.stringify({
      room_id: room, message_id: id, author_id: author, seq: Number(head.last_seq), links: [],
      has_text: true, sent_at: at, in_private_room: false,
    }));
    await client.query({
      ...EVENT,
      values: [eventId, `seda.evt.chat.message.sent.v1.${room}`, room, headers, payload],
    });
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
}

async function measure({ rooms, people, warmUpSeconds, seconds }) {
  const times = [];
  let sent = 0;
  let number = 0;
  const from = performance.now() + 1000 * warmUpSeconds;
  const until = from + 1000 * seconds;
  async function keepSending(author) {
    for (let started; (started = performance.now()) < until; ) {
      const here = number++;
      const text = `message ${here}, about as long as people write them`;
      await send(author, rooms[here % rooms.length], text);
      sent++;
      if (started >= from) times.push((performance.now() - started) / 1000);
    }
  }
  await Promise.all(people.map(keepSending));
  return { sent, times };
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await measure(JSON.parse(line))));
}
await pool.end();
