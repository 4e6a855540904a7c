// One WebSocket for the page. It comes back by itself and asks for what it missed, by sequence number.

import { get } from "./rest.js";

const PING_MS = 20_000;
const SILENCE_MS = 45_000;
const LONGEST_WAIT_MS = 10_000;

// The field that says what a subscription is about; a channel that is not here is about the whole organization.
const SUBJECTS = {
  "job.progress": "job_id",
  "job.metrics": "job_id",
  "job.logs": "job_id",
  "backend.status": "backend_id",
  "deployment.status": "deployment_id",
};

const subjectOf = (frame) => frame[SUBJECTS[frame.channel]] ?? null;
const about = (channel, subject) => (SUBJECTS[channel] ? { channel, [SUBJECTS[channel]]: subject } : { channel });

export class Live {
  #socket = null;
  #followed = new Map();
  #attempt = 0;
  #timer = null;
  #pulse = null;
  #heard = 0;
  #onState;

  /** `onState(name, sentence)` with `connecting`, `live` or `waiting`. */
  constructor(onState) {
    this.#onState = onState;
    window.addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#hurry());
    this.#connect();
  }

  /**
   * Follows a channel, of a job or of whatever it is about, until the returned function is called.
   * `onEvent(data, seq)` for each event; `onFresh()` whenever the stored truth must be read again: once the subscription
   * stands, and when the server cannot replay what was missed.
   */
  follow(channel, subject, { onEvent, onFresh = () => {}, onFault = () => {} }) {
    const key = `${channel} ${subject ?? ""}`;
    this.#followed.set(key, { channel, subject: subject ?? null, onEvent, onFresh, onFault, seq: null, stream: null });
    this.#subscribe(key);
    return () => {
      this.#followed.delete(key);
      this.#send({ type: "unsubscribe", ...about(channel, subject) });
    };
  }

  #connect() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#onState("connecting", this.#attempt ? "Reconnecting…" : "Connecting…");
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/ws`);
    this.#socket = socket;
    socket.addEventListener("open", () => {
      this.#attempt = 0;
      this.#heard = Date.now();
      this.#onState("live", "Live");
      for (const key of this.#followed.keys()) this.#subscribe(key);
      this.#pulse = setInterval(() => this.#beat(socket), PING_MS);
    });
    socket.addEventListener("message", (message) => {
      this.#heard = Date.now();
      this.#receive(JSON.parse(message.data));
    });
    socket.addEventListener("close", () => socket === this.#socket && this.#lost());
  }

  // A connection that died without a word (a laptop that slept) is only noticed by its silence.
  #beat(socket) {
    if (Date.now() - this.#heard > SILENCE_MS) {
      this.#lost();
      socket.close();
    } else {
      this.#send({ type: "ping" });
    }
  }

  async #lost() {
    clearInterval(this.#pulse);
    this.#socket = null;
    const wait = Math.min(LONGEST_WAIT_MS, 400 * 2 ** this.#attempt) * (0.75 + Math.random() / 2);
    this.#attempt += 1;
    this.#onState("waiting", `Not connected, trying again in ${Math.max(1, Math.round(wait / 1000))} s`);
    this.#timer = setTimeout(() => this.#connect(), wait);
    // The browser does not say why a handshake failed. A session that ended shows here and leads to the sign-in page.
    try {
      await get("/v1/users/me");
    } catch (fault) {
      if (fault.status !== 0 && fault.status !== 401) this.#onState("waiting", fault.message);
    }
  }

  #hurry() {
    if (this.#timer !== null) this.#connect();
  }

  #send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #subscribe(key) {
    const { channel, subject, seq, stream } = this.#followed.get(key);
    const frame = { type: "subscribe", ...about(channel, subject) };
    if (seq !== null) frame.last_seq = seq;
    if (stream !== null) frame.stream = stream;
    this.#send(frame);
  }

  #receive(frame) {
    if (frame.type === "events") for (const event of frame.events) this.#receive({ type: "event", ...event });
    else if (frame.type === "event") this.#deliver(frame);
    else if (frame.type === "subscribed") this.#each(frame, (followed) => this.#subscribed(followed, frame));
    else if (frame.type === "reset") this.#each(frame, (followed) => this.#reset(followed, frame));
    else if (frame.type === "error") this.#each(frame, (followed) => followed.onFault(frame.error));
  }

  #deliver(frame) {
    const followed = this.#followed.get(`${frame.channel} ${subjectOf(frame) ?? ""}`);
    if (!followed) return;
    if (Number.isInteger(frame.seq)) followed.seq = Math.max(followed.seq ?? 0, frame.seq);
    followed.onEvent(frame.data, frame.seq);
  }

  #subscribed(followed, frame) {
    followed.stream = frame.stream ?? followed.stream;
    if (followed.seq !== null) return;
    followed.seq = frame.seq ?? null;
    followed.onFresh();
  }

  #reset(followed, frame) {
    followed.seq = frame.seq ?? null;
    followed.stream = frame.stream ?? null;
    followed.onFresh();
  }

  // A frame names its channel and what it is about; one without names concerns all.
  #each(frame, act) {
    for (const followed of this.#followed.values()) {
      if (frame.channel && frame.channel !== followed.channel) continue;
      if (frame.channel && subjectOf(frame) !== null && subjectOf(frame) !== followed.subject) continue;
      act(followed);
    }
  }
}
