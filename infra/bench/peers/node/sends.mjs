// Durable sends as a Node service does them with `pg`: a transaction per message, with the same
// guarantees as ours. The room is locked by taking its next number; then it looks whether the author
// may send and has not sent this very message before; message, log entry and outbox row are written;
// and live listeners are told over NATS once it is committed. The bare one is spared the look, the
// digest of the body and the telling. Neither looks for links and names.
//
// Each line on stdin asks for one measurement, each line on stdout answers it. Statements are
// prepared once per connection, by name.
import { createHash, randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [packages, url, connections, brokerUrl] = process.argv.slice(2);
const require = createRequire(`${packages}/package.json`);
const { Pool } = require("pg");
const { connect } = require("@nats-io/transport-node");
const pool = new Pool({ connectionString: url, max: Number(connections) });
const broker = await connect({ servers: brokerUrl });

const NUMBER = {
  name: "number",
  text: "UPDATE chat.room SET last_seq = last_seq + 1 WHERE id = $1 RETURNING last_seq, acl_epoch",
};
const LOOK = {
  name: "look",
  text: `SELECT room.is_private, room.archived, room.locked, room.slow_mode_seconds,
      membership.role, membership.left_at, membership.last_sent_at,
      greatest(membership.muted_until, global_mute.muted_until) AS muted_until,
      membership.banned_at, membership.banned_until,
      earlier.id, earlier.seq, earlier.body_sha256,
      person.handle, person.display_name, person.avatar_url
    FROM chat.room
    LEFT JOIN chat.membership ON membership.room_id = room.id AND membership.user_id = $2
    LEFT JOIN chat.global_mute ON global_mute.user_id = $2
    LEFT JOIN chat.person ON person.user_id = $2
    LEFT JOIN LATERAL (
      SELECT id, seq, body_sha256 FROM chat.message WHERE author_id = $2 AND cid = $3 LIMIT 1
    ) AS earlier ON true
    WHERE room.id = $1`,
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

/** Null when a message like this may be written. */
function refusal(look, now) {
  if (look === undefined || look.role === null || look.left_at !== null) return "not_member";
  if (look.banned_at !== null && (look.banned_until ?? Infinity) > now) return "banned";
  if (look.archived || look.locked) return "room_locked";
  if (look.muted_until !== null && look.muted_until > now) return "muted";
  const pause = 1000 * look.slow_mode_seconds;
  return pause && look.last_sent_at !== null && now - look.last_sent_at < pause ? "slow_mode" : null;
}

async function send(author, room, text, isBare) {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    const { rows: [head] } = await client.query({ ...NUMBER, values: [room] });
    const id = uuid7();
    const cid = uuid7();
    const at = new Date();
    let digest = DIGEST;
    let author_card = null;
    if (!isBare) {
      digest = createHash("sha256").update(JSON.stringify([room, null, text])).digest();
      const { rows: [look] } = await client.query({ ...LOOK, values: [room, author, cid] });
      const refused = refusal(look, at);
      if (refused !== null || look.id !== null) throw new Error(refused ?? "sent before");
      const { handle, display_name, avatar_url } = look;
      author_card = { user_id: author, handle, display_name, avatar_url };
    }
    await client.query({
      ...MESSAGE,
      values: [id, room, head.last_seq, author, text, cid, digest, at],
    });
    const data = {
      id, author_id: author, type: "TEXT", text, cid, parent_id: null, edit_version: 0,
      created_at: at, mentions: [], links: [], cards: [],
    };
    await client.query({
      ...LOG,
      values: [room, head.last_seq, head.acl_epoch, id, author, JSON.stringify(data), at],
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
    if (!isBare) {
      const frame = {
        op: "ev", room, ep: "1", seq: Number(head.last_seq), acl: Number(head.acl_epoch),
        t: "message.created", ts: at.getTime(), d: { ...data, author: author_card },
      };
      broker.publish(`seda.live.peer.${room}`, JSON.stringify(frame));
    }
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
}

async function measure({ rooms, people, warmUpSeconds, seconds, isBare }) {
  const times = [];
  let sent = 0;
  let number = 0;
  const from = performance.now() + 1000 * warmUpSeconds;
  const until = from + 1000 * seconds;
  async function keepSending(author) {
    for (let started; (started = performance.now()) < until; ) {
      const here = number++;
      const text = `message ${here}, about as long as people write them`;
      await send(author, rooms[here % rooms.length], text, isBare);
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
await broker.close();
