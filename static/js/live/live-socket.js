// The WebSocket of a page: passes frames to readers, and dispatches events of the lab as DOM events on
// <body>, where hx-trigger waits for them.
import { announce } from "../lib/announce.js";
import { ROOT_PATH } from "../lib/dom.js";
import { showConnection } from "./connection-badge.js";

const EVENTS_KEPT_MAX = 100,
  STALE_MS = 2000,
  TEXT_INTERVAL_MS = 250,
  GAP_SMOOTHING = 0.2,
  RETRY_FIRST_MS = 500,
  RETRY_MAX_MS = 1500; // a lab that has restarted is found within two seconds
// A frame comes at least once a second: a socket that is silent for longer is half open.
const SILENT_MAX_MS = 5000;
const TRY_LATER = 1013;
const ANNOUNCEMENTS = {
  live: "Connected",
  stale: "Data is stale",
  offline: "Disconnected from the lab",
  paused: "Paused",
};
// Events of these families are dispatched as engines-changed, runs-changed and so on.
const JOBS = ["run", "comparison", "experiment", "tuning"],
  FAMILIES = ["engine", "demonstration", ...JOBS];
const IMPORTANT = /^run\.(finished|failed|stopped)$|^engine\.(exited|failed)$/;

class LiveSocket {
  #socket = null;
  #frameReaders = new Set();
  #eventReaders = new Set();
  #jobReaders = new Set();
  #wanted = { engines: [], threads: false, interval_ms: 1000 };
  #receivedAtMs = performance.now();
  #retryMs = RETRY_FIRST_MS;
  #retryAt = 0;
  #announced = "";
  #closing = false;
  #connectedAtMs = 0;
  #nextTextMs = 0;
  #refusal = "";
  #gapMs = 1000; // between frames, on average
  #dispatchedAt = new Map();
  #stateReaders = new Set();
  #state = "";
  hello = null;
  frame = null;

  start() {
    this.#connect();
    setInterval(() => this.#updateState(), 500);
    document.addEventListener("visibilitychange", () => this.#onVisibility());
    this.#repeatMissedEvents();
    addEventListener("pagehide", () => {
      this.#closing = true;
      this.#socket?.close();
    });
    addEventListener("pageshow", (e) => {
      if (e.persisted) {
        this.#closing = false;
        this.#connect();
      }
    });
  }

  onFrame(reader) {
    this.#frameReaders.add(reader);
    if (this.frame) reader(this.frame);
  }
  onEvent(reader) {
    this.#eventReaders.add(reader);
  }
  /** `reader(job)` is called with the job in progress; null: there is none, undefined: disconnected. */
  onJob(reader) {
    this.#jobReaders.add(reader);
  }
  /** `reader(state)` is called with each change: live, stale, offline, paused or waiting. */
  onState(reader) {
    this.#stateReaders.add(reader);
    if (this.#state) reader(this.#state);
  }

  /** Set what this page needs: numbers of all engines always come, threads only of the engines named here. */
  subscribe(wanted) {
    this.#wanted = { ...this.#wanted, ...wanted };
    this.#send({ type: "subscribe", ...this.#wanted });
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #connect() {
    const socket = new WebSocket(
      `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${ROOT_PATH}/ws/v1/live`,
    );
    this.#socket = socket;
    this.#connectedAtMs = performance.now();
    socket.addEventListener("open", () => {
      this.#receivedAtMs = performance.now();
      this.subscribe({});
      if (document.hidden) this.#send({ type: "pause" }); // a new socket gets frames until it sends this
    });
    socket.addEventListener("message", ({ data }) => {
      if (socket === this.#socket) this.#onMessage(JSON.parse(data));
    });
    let greeted = false;
    socket.addEventListener(
      "message",
      () => {
        greeted = true;
      },
      { once: true },
    );
    socket.addEventListener("close", ({ code, reason }) => {
      if (socket === this.#socket) this.#retry(code === TRY_LATER && !greeted ? reason : "");
    });
  }

  /** After a suspend or behind a broken tunnel a socket never reports that it is closed. */
  #reconnectIfSilent(now) {
    const open = this.#socket && this.#socket.readyState !== WebSocket.CLOSED;
    if (document.hidden || !open || now - Math.max(this.#receivedAtMs, this.#connectedAtMs) < SILENT_MAX_MS)
      return;
    const dead = this.#socket;
    this.#socket = null;
    dead.close();
    this.#connect();
  }

  /** Ask the lab why it refused the socket, because the browser does not say. */
  async #fetchRefusal() {
    try {
      const answer = await fetch(`${ROOT_PATH}/ws/v1/live`, { method: "POST" });
      this.#refusal = answer.ok ? "" : ((await answer.json()).detail ?? "");
    } catch {
      this.#refusal = ""; // the lab cannot be reached
    }
  }

  /** `reason`: why the lab refused this page, or empty. */
  #retry(reason) {
    if (this.#closing) return;
    this.#onJob(undefined);
    if (reason) this.#refusal = reason;
    else this.#fetchRefusal();
    this.#retryAt = performance.now() + this.#retryMs;
    setTimeout(() => {
      if (!this.#closing) this.#connect();
    }, this.#retryMs);
    this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
    this.#updateState();
  }

  #onMessage(message) {
    if (message.type === "hello") this.#onHello(message);
    else if (message.type === "event") this.#onEvent(message);
    else if (message.type === "job") this.#onJob(message.job);
    else if (message.type === "frame") {
      const now = performance.now();
      if (this.frame) this.#gapMs += (now - this.#receivedAtMs - this.#gapMs) * GAP_SMOOTHING;
      this.#receivedAtMs = now;
      // Ten frames per second are for graphics; text changes four times per second, all of it at once.
      message.legible = now >= this.#nextTextMs;
      if (message.legible) this.#nextTextMs = now + TEXT_INTERVAL_MS;
      this.frame = message;
      document.body.toggleAttribute("data-quiet", Boolean(message.run));
      if (!document.hidden) for (const reader of this.#frameReaders) reader(message);
    }
  }

  /** The page was rendered before its socket opened: refresh it if something has changed since. */
  #onHello(hello) {
    const first = !this.hello,
      current = document.body.dataset.event === String(hello.last_event);
    this.hello = hello;
    this.#refusal = "";
    this.#retryMs = RETRY_FIRST_MS;
    if (!first || !current) this.#catchUp();
    document.body.toggleAttribute("data-current", current);
  }

  #onEvent(message) {
    for (const reader of this.#eventReaders) reader(message);
    if (message.text && message.event !== "log.line") announce(message.text, IMPORTANT.test(message.event));
    const [family] = message.event.split(".");
    if (family === "engine") this.#dispatch(`engine-${message.model}`, message);
    if (family === "trial") this.#dispatch(`search-${message.run}`, message);
    for (const id of JOBS)
      if (message[id] && (family === "run" || family === id)) this.#dispatch(`${id}-${message[id]}`, message);
    if (FAMILIES.includes(family)) this.#dispatch(`${family}s-changed`, message);
  }

  #onJob(job) {
    for (const reader of this.#jobReaders) reader(job);
  }

  /** After a lost connection: refresh every card and job. */
  #catchUp() {
    for (const card of document.querySelectorAll("[data-card]"))
      this.#dispatch(`engine-${card.dataset.card}`);
    for (const family of FAMILIES) this.#dispatch(`${family}s-changed`);
    for (const id of JOBS)
      for (const { dataset } of document.querySelectorAll(`[data-${id}]`))
        this.#dispatch(`${id}-${dataset[id]}`);
  }

  #dispatch(name, detail = {}) {
    this.#dispatchedAt.delete(name); // so that the newest is last
    this.#dispatchedAt.set(name, performance.now());
    if (this.#dispatchedAt.size > EVENTS_KEPT_MAX)
      this.#dispatchedAt.delete(this.#dispatchedAt.keys().next().value);
    document.body.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /**
   * An event during a request is lost with the element that the response replaces: dispatch it again for
   * the new one.
   */
  #repeatMissedEvents() {
    document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
      ctx.askedAt = performance.now();
    });
    document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
      for (const [name, at] of this.#dispatchedAt)
        if (at > ctx.askedAt) document.body.dispatchEvent(new CustomEvent(name, { detail: {} }));
    });
  }

  #onVisibility() {
    if (!document.hidden) this.subscribe({}); // frames were dropped while hidden: start with complete ones
    this.#send({ type: document.hidden ? "pause" : "resume" });
    this.#receivedAtMs = performance.now();
  }

  #updateState() {
    const now = performance.now();
    this.#reconnectIfSilent(now);
    const silentMs = now - this.#receivedAtMs,
      state = this.#stateAfter(silentMs);
    const shownHz = Math.max(1, Math.min(1000 / this.#wanted.interval_ms, Math.round(1000 / this.#gapMs)));
    showConnection(state, { silentMs, retryInMs: this.#retryAt - now, refusal: this.#refusal, shownHz });
    if (state !== this.#state) for (const reader of this.#stateReaders) reader(state);
    this.#state = state;
    if (state === this.#announced || !(state in ANNOUNCEMENTS)) return;
    if (this.#announced || state !== "live") announce(ANNOUNCEMENTS[state], true);
    this.#announced = state;
  }

  #stateAfter(silentMs) {
    const open = this.#socket?.readyState === WebSocket.OPEN;
    if (document.hidden) return "paused";
    if (!open && (silentMs > STALE_MS || this.#refusal)) return "offline";
    if (silentMs > STALE_MS) return "stale";
    return open && this.frame ? "live" : "waiting";
  }
}

export const live = new LiveSocket();
