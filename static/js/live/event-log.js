// The event log: events of the lab and the standard error of engines, in one list that swaps do not
// replace.
import { live } from "./live-socket.js";
import { toast } from "../lib/htmx-feedback.js";
import { ROOT_PATH } from "../lib/dom.js";

const EVENTS_MAX = 500,
  NEAR_PX = 24,
  RANK = { info: 0, warning: 1, error: 2 };
const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false,
});
const element = (tag, textContent, more = {}) =>
  Object.assign(document.createElement(tag), { textContent, ...more });

class EventLog {
  #root;
  #list;
  #events = new Map();
  #following = true;
  #find;

  constructor(root) {
    this.#root = root;
    this.#find = (name) => root.querySelector(`[data-log-${name}]`);
    this.#list = this.#find("list");
    root.addEventListener("toggle", () => this.#show());
    for (const name of ["engine", "level"]) this.#find(name).addEventListener("change", () => this.#show());
    this.#find("follow").addEventListener("click", () => this.#follow(!this.#following));
    this.#find("copy").addEventListener("click", () => this.#copy());
    this.#list.addEventListener("scroll", () => {
      if (
        this.#following &&
        this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight > NEAR_PX
      )
        this.#follow(false);
    });
    live.onEvent((event) => {
      if (this.#add(event)) this.#show(event);
    });
    live.onState((state) => {
      if (state === "live") this.#fetchPast();
    }); // also events from while the lab was unreachable
  }

  async #fetchPast() {
    try {
      const answer = await fetch(`${ROOT_PATH}/api/v1/events`);
      if (answer.ok) for (const event of await answer.json()) this.#add(event);
    } catch {
      return;
    } // the badge shows that the connection is lost
    this.#show();
  }

  #source({ engine, run }) {
    return engine ?? (run ? `run ${run}` : "lab");
  }

  /**
   * Keep an event; returns false if it is known. A lab that was restarted counts from 1 again, so the key
   * has the time as well.
   */
  #add(event) {
    const key = `${event.at} ${event.id}`;
    if (this.#events.has(key)) return false;
    this.#events.set(key, event);
    const choice = this.#find("engine"),
      source = this.#source(event);
    if (![...choice.options].some(({ value }) => value === source)) choice.append(new Option(source, source));
    if (this.#events.size > EVENTS_MAX) this.#removeOldest(choice);
    return true;
  }

  /**
   * Remove the oldest event, and its source from the choices if no event of it is left and it is not
   * selected.
   */
  #removeOldest(choice) {
    const [[key, event]] = this.#events,
      source = this.#source(event);
    this.#events.delete(key);
    if (choice.value !== source && ![...this.#events.values()].some((each) => this.#source(each) === source))
      [...choice.options].find(({ value }) => value === source)?.remove();
  }

  /** Show all events that match the filter, or add `only` this one. */
  #show(only) {
    const last = only ?? [...this.#events.values()].at(-1);
    if (last) this.#find("last").textContent = `${clock.format(new Date(last.at))} ${last.text}`;
    if (!this.#root.open) return;
    const from = this.#find("engine").value,
      least = Number(this.#find("level").value);
    const wanted = (only ? [only] : [...this.#events.values()].sort((a, b) => (a.at < b.at ? -1 : 1))).filter(
      (event) => (!from || this.#source(event) === from) && RANK[event.level] >= least,
    );
    if (!only) this.#list.replaceChildren();
    this.#list.append(...wanted.map((event) => this.#line(event)));
    while (this.#list.childElementCount > EVENTS_MAX) this.#list.firstChild.remove();
    this.#find("empty").hidden = this.#list.childElementCount > 0;
    if (this.#following) this.#list.scrollTop = this.#list.scrollHeight;
  }

  #line(event) {
    const stderr = event.event === "log.line",
      line = element("li", ""),
      at = new Date(event.at);
    line.dataset.level = event.level;
    line.append(
      element("time", clock.format(at), { dateTime: event.at, title: at.toLocaleString() }),
      element("code", this.#source(event)),
      element("b", stderr ? "stderr" : event.level === "info" ? "" : event.level),
      element("span", event.text, { className: stderr ? "stderr" : "" }),
    );
    return line;
  }

  #follow(on) {
    this.#following = on;
    this.#find("follow").setAttribute("aria-pressed", String(on));
    if (on) this.#list.scrollTop = this.#list.scrollHeight;
  }

  async #copy() {
    const lines = [...this.#list.children].map((line) =>
      [...line.children]
        .map(({ textContent }) => textContent)
        .filter(Boolean)
        .join("  "),
    );
    try {
      await navigator.clipboard.writeText(lines.join("\n"));
      toast(`Copied ${lines.length} lines.`);
    } catch {
      toast("The browser does not allow copying.");
    }
  }
}

for (const root of document.querySelectorAll("[data-log]")) new EventLog(root);
