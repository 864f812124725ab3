// Decisions of the client, from frames, closes, moments and chances; no socket, no clock.
// `node --test` with SEDA_CLIENT naming the built index.js; contracts/tests runs it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const built = pathToFileURL(process.env.SEDA_CLIENT).href;
const { CLOSES, Core, SETTINGS, VERSION, reactionTo } = await import(built);
const ROOM = "019aa3c0-7d40-7003-8000-000000000003";
const OTHER = "019aa3c0-7d40-7003-8000-000000000004";

const EVENT = { op: "ev", room: ROOM, ep: "1", acl: 0, t: "message.created", ts: 0, d: {} };
const event = (seq, more = {}) => ({ ...EVENT, seq, ...more });
const told = (result, head) => ({ room: ROOM, result, ep: "1", head, n: 0 });
const limits = { typing_interval_ms: 3000 };
const welcome = { op: "welcome", hb_ms: 1000, hb_grace_ms: 100, limits };
const said = (decisions) =>
  decisions.filter((each) => each.do === "say").map((each) => JSON.parse(each.text));
const happenings = (decisions) =>
  decisions.filter((each) => each.do === "tell").map((each) => each.happening);
const tales = (decisions, kind) => happenings(decisions).filter((each) => each.kind === kind);
const seqs = (decisions) => tales(decisions, "event").map((each) => each.event.seq);
const ops = (decisions) => said(decisions).map((command) => command.op);

/** A client, and what it decides about each thing. */
function make({ random = 0.5, ...settings } = {}) {
  const core = new Core({ ...SETTINGS, ...settings }, () => random);
  const hear = (frame, now = 0) => core.received(JSON.stringify(frame), now);
  const greet = (rooms = [], now = 0) => [
    ...core.opened({ ticket: "t" }),
    ...hear(welcome, now),
    ...hear({ op: "ready", id: 1, conn: "c", user: "u", rooms }, now),
  ];
  return { core, hear, greet };
}

function listening(seq = 10, settings = {}) {
  const made = make(settings);
  made.core.follow(ROOM, { ep: "1", seq }, 0);
  made.core.start(0);
  made.greet([told("current", seq)]);
  return made;
}

test("events are handed on once and in turn", () => {
  const { hear } = listening();
  assert.deepEqual([11, 11, 10, 12].map((seq) => seqs(hear(event(seq)))), [[11], [], [], [12]]);
});

test("an event out of turn asks for what is missing, once", () => {
  const { hear } = listening();
  const [command] = said(hear(event(13)));
  assert.deepEqual([command.op, command.room, command.d], ["room.sub", ROOM, { ep: "1", seq: 10 }]);
  assert.deepEqual(said(hear(event(14))), []);
  hear({ id: command.id, ok: told("replay", 14) });
  assert.deepEqual(seqs(hear([11, 12, 13, 14].map((seq) => event(seq)))), [11, 12, 13, 14]);
});

for (const [name, frame] of Object.entries({
  lagged: { op: "lagged", room: ROOM, from: 10 },
  "a head that is further": { op: "live", room: ROOM, head: 11 },
  "an event of another log": event(11, { ep: "2" }),
})) {
  test(`${name} asks for the room from its cursor`, () => {
    const { hear } = listening();
    assert.deepEqual(said(hear(frame)).map((command) => command.d), [{ ep: "1", seq: 10 }]);
  });
}

test("a heartbeat that knows more gives what is under way until the next", () => {
  const { hear } = listening();
  const answer = { op: "hb.ok", id: 9, n: 1, t0: 0, t1: 0, t2: 0 };
  const beat = (head) => hear({ ...answer, heads: { [ROOM]: head } });
  assert.deepEqual(said(beat(11)), []);
  assert.deepEqual(ops(beat(11)), ["room.sub"]);
});

test("a type and a frame that nobody knows are passed over, and the type is counted", () => {
  const { core, hear } = listening();
  assert.deepEqual(hear(event(11, { t: "later.type" })), []);
  assert.deepEqual(hear({ op: "later", room: ROOM }), []);
  assert.deepEqual([...core.received("nonsense", 0), ...core.received("[null, 1]", 0)], []);
  assert.deepEqual(seqs(hear(event(12, { later: 1 }))), [12]);
});

test("a room waits for its snapshot and is asked for once", () => {
  const { core, hear, greet } = listening();
  const [command] = said(hear(event(12)));
  const live = { op: "live", room: ROOM, head: 600 };
  const decisions = hear([{ id: command.id, ok: told("snapshot", 600) }, live, event(601)]);
  assert.deepEqual([tales(decisions, "snapshot_needed").length, said(decisions)], [1, []]);
  core.closed(1006, 0);
  core.tick(60_000);
  assert.deepEqual(said(greet()).map((each) => each.d.resume?.rooms), [{}]);
  const [again] = said(core.resumeFrom(ROOM, { ep: "1", seq: 601 }, 0));
  assert.deepEqual([again.op, again.d], ["room.sub", { ep: "1", seq: 601 }]);
});

test("hello resumes what has a cursor, and ready asks for the rest", () => {
  const { core, greet } = listening();
  core.closed(1006, 0);
  core.follow(OTHER, null, 0);
  core.tick(60_000);
  const [hello, subscription] = said(greet([told("current", 10)]));
  const rooms = { [ROOM]: { ep: "1", seq: 10 } };
  assert.deepEqual(hello.d, { ticket: "t", resume: { rooms }, v: VERSION });
  assert.deepEqual([subscription.op, subscription.room, subscription.d], ["room.sub", OTHER, {}]);
});

for (const code of [...Object.keys(CLOSES).map(Number), 4321, 4789]) {
  const { reaction, delay_ms: delayMs } = reactionTo(code);
  test(`${code}: ${reaction}`, () => {
    const { core } = listening(10, { random: 0 });
    const decisions = core.closed(code, 1000);
    if (reaction === "stop") {
      assert.equal(tales(decisions, "stopped")[0].code, code);
      assert.equal(core.wakeAt(), null);
    } else {
      assert.equal(core.wakeAt(), 1000 + delayMs);
      const renew = reaction === "resume_with_new_ticket";
      assert.deepEqual(core.tick(1000 + delayMs), [{ do: "connect", renew }]);
    }
  });
}

test("the range decides about codes that nobody knows", () => {
  const reactions = [3000, 4499, 4599, 4999].map((code) => reactionTo(code).reaction);
  assert.deepEqual(reactions, ["resume", "resume", "stop", "stop"]);
});

test("the wait is below a ceiling that grows with the time of trouble, not with attempts", () => {
  const { core } = listening(10, { random: 0.5 });
  const waits = [tales(core.closed(1006, 0), "waiting")[0].waitMs];
  for (const now of [250, 250, 8_000, 100_000]) {
    core.tick(1e9);
    waits.push(tales(core.closed(null, now), "waiting")[0].waitMs);
  }
  assert.deepEqual(waits, [250, 250, 250, 4_000, 15_000]);
});

test("a connection that ends at once does not end the trouble; one that lasted does", () => {
  const { core, greet } = listening(10, { random: 1 });
  core.closed(1006, 0);
  core.tick(5_000);
  greet([], 5_000);
  assert.equal(tales(core.closed(1006, 6_000), "waiting")[0].elapsedMs, 6_000);
  core.tick(50_000);
  greet([], 50_000);
  assert.equal(tales(core.closed(1006, 60_000), "waiting")[0].elapsedMs, 0);
});

const DRAINED = [
  [4012, 5000, 5000],
  [4012, 2000, 5000],
  [1012, 2000, 5000],
  [1006, 7000, 7000],
];
for (const [code, endsAt, backAt] of DRAINED) {
  test(`drained for 5000, ended with ${code} at ${endsAt}: comes back at ${backAt}`, () => {
    const { core, hear } = listening(10, { random: 0 });
    hear({ op: "drain", in_ms: 5000, resume: true }, 0);
    core.closed(code, endsAt);
    assert.equal(core.wakeAt(), backAt);
  });
}

test("a server that does not close at the moment it named is left", () => {
  const { core, hear } = listening(10, { random: 0 });
  hear({ op: "drain", in_ms: 5000, resume: true }, 0);
  assert.ok(core.tick(10_000).some((each) => each.do === "hang_up"));
});

test("a heartbeat without answer ends the connection after its grace", () => {
  const { core } = listening(10, { random: 0 });
  const [beat] = said(core.tick(0));
  assert.deepEqual([beat.op, beat.d], ["hb", { n: 1, t0: 0 }]);
  assert.equal(core.wakeAt(), 100);
  assert.deepEqual(core.tick(100).map((each) => each.do), ["hang_up", "tell"]);
});

test("the clock is told by the sample with the shortest way", () => {
  const { core, hear } = listening(10, { random: 0 });
  hear({ op: "hb.ok", id: 9, n: 1, t0: 0, t1: 5_010, t2: 5_010, heads: {} }, 20);
  hear({ op: "hb.ok", id: 9, n: 2, t0: 100, t1: 5_190, t2: 5_190, heads: {} }, 200);
  assert.equal(core.clockOffsetMs, 5_000);
});

test("a send goes on over connections under its own cid; another command does not", () => {
  const { core, greet } = listening();
  core.command(1, "msg.send", ROOM, { cid: "one", text: "Hello!" }, 0);
  core.command(2, "mod.kick", ROOM, { reason: "r" }, 0);
  const lost = core.closed(1006, 0).filter((each) => each.do === "refuse");
  assert.deepEqual(lost.map((each) => [each.ref, each.refusal.code]), [[2, "connection_lost"]]);
  core.tick(5_000);
  const again = said(greet([told("current", 10)])).filter((each) => each.op === "msg.send");
  assert.deepEqual(again.map((each) => each.d.cid), ["one"]);
});

test("rooms are asked for before anything is sent to them", () => {
  const { core, greet } = make();
  core.follow(ROOM, null, 0);
  core.command(1, "msg.send", ROOM, { cid: "one", text: "Hello!" }, 0);
  core.start(0);
  assert.deepEqual(ops(greet()), ["hello", "room.sub", "msg.send"]);
});

test("a refusal that says later is tried again then, if the command lives as long", () => {
  const { core, hear } = listening();
  const [first] = said(core.command(1, "msg.send", ROOM, { cid: "one", text: "Hello!" }, 0));
  const err = { code: "slow_mode", retry: "later" };
  const refuse = (id, retryMs, now) => hear({ id, err: { ...err, retry_ms: retryMs } }, now);
  assert.deepEqual(refuse(first.id, 2_000, 0), []);
  assert.deepEqual(ops(core.tick(1_999)).filter((op) => op === "msg.send"), []);
  const [again] = said(core.tick(2_000)).filter((each) => each.op === "msg.send");
  const [refused] = refuse(again.id, 3_600_000, 2_000);
  assert.deepEqual([refused.do, refused.refusal.retryMs], ["refuse", 3_600_000]);
});

test("a command without an answer, and one too many, are refused", () => {
  const { core } = make({ commandsWaitingMax: 1 });
  core.start(0);
  core.command(1, "msg.send", ROOM, { cid: "one", text: "Hello!" }, 0);
  const [full] = core.command(2, "msg.send", ROOM, { cid: "two", text: "Hello!" }, 0);
  assert.deepEqual([full.ref, full.refusal.code], [2, "too_many_waiting"]);
  const [late] = core.tick(30_000).filter((each) => each.do === "refuse");
  assert.deepEqual([late.ref, late.refusal.code], [1, "timeout"]);
});

test("nobody who is signed out comes back, and what waits is refused", () => {
  const { core } = make();
  core.start(0);
  core.command(1, "msg.send", ROOM, { cid: "one", text: "Hello!" }, 0);
  const decisions = core.signedOut();
  assert.deepEqual(decisions.map((each) => each.do), ["refuse", "tell"]);
  assert.equal(core.wakeAt(), null);
});

test("a connection that does not get ready in time is given up", () => {
  const { core } = make();
  core.start(0);
  core.opened({ ticket: "t" });
  assert.deepEqual(core.tick(15_000).map((each) => each.do), ["hang_up", "tell"]);
});

test("typing is said as often as the server allows, and not at all while away", () => {
  const { core } = listening();
  assert.deepEqual([0, 2_999, 3_000].map((now) => ops(core.typing(ROOM, now)).length), [1, 0, 1]);
  core.closed(1006, 4_000);
  assert.deepEqual(core.typing(ROOM, 60_000), []);
});

test("a device that is invisible stays so on the next connection", () => {
  const { core, greet } = listening();
  core.command(1, "presence.set", null, { status: "invisible" }, 0);
  core.closed(1006, 0);
  core.tick(5_000);
  assert.ok(said(greet()).some(({ op, d }) => op === "presence.set" && d.status === "invisible"));
});
