// The replay of a traced round: two stacks of thread lanes on one time axis, and a table of them.
import { setText } from "../lib/dom.js";
import { describe, loadExcerpts, slowSpan, waitingAt } from "../replay/excerpts.js";
import { play } from "../replay/playback.js";
import { SpanLanes } from "../replay/span-lanes.js";

const REPLAY_S = 6,
  LANE_PX = 20;

/** Fill a table with the threads of all excerpts. */
function fillTable(place, excerpts) {
  const table = document.createElement("table"),
    head = ["Server", "Thread", "Spans", "Occupied", "Longest span"],
    row = (cells, tag) => {
      const tr = document.createElement("tr");
      tr.append(...cells.map((text) => Object.assign(document.createElement(tag), { textContent: text })));
      return tr;
    };
  table.className = "table";
  const thead = table.createTHead(),
    body = table.createTBody();
  thead.append(row(head, "th"));
  for (const excerpt of excerpts)
    for (const thread of excerpt.threads) {
      const lengths = thread.spans.map(({ from_us, to_us }) => to_us - from_us),
        total = lengths.reduce((a, b) => a + b, 0),
        longest = lengths.length ? `${(Math.max(...lengths) / 1000).toFixed(2)} ms` : "–",
        share = `${Math.round((100 * Math.min(total, excerpt.window_us)) / excerpt.window_us)} %`;
      body.append(row([excerpt.model, thread.name, String(lengths.length), share, longest], "td"));
    }
  place.replaceChildren(table);
}

export class Why {
  #place;
  #stacks = [];
  #excerpts = [];
  #stop = () => {};

  constructor(place) {
    this.#place = place;
    this.#load();
  }

  end() {
    this.#stop();
  }

  async #load() {
    const canvases = [...this.#place.querySelectorAll("canvas[data-stack]")];
    try {
      this.#excerpts = await loadExcerpts(this.#place.dataset.excerpts.split(" "));
    } catch {
      setText(document.querySelector("[data-why-source]"), "The trace of this round was deleted.");
      return;
    }
    this.#stacks = canvases.map((canvas, i) => {
      const excerpt = this.#excerpts[i],
        requestsPx = excerpt.requests.length ? Math.max(20, Math.min(76, 4 + excerpt.waiting * 2.6)) : 0;
      const lanes = new SpanLanes(canvas, { axis: i === 0, lanePx: LANE_PX, requestsPx });
      lanes.show(excerpt);
      canvas.setAttribute("aria-label", describe(excerpt));
      const text = canvas.parentElement.querySelector("[data-stack-text]");
      setText(text, this.#text(excerpt));
      return lanes;
    });
    const table = document.querySelector("[data-excerpt-table]");
    if (table) fillTable(table, this.#excerpts);
    const button = document.querySelector("[data-replay]");
    if (button) {
      button.hidden = false;
      button.addEventListener("click", () => this.replay());
    }
    setText(
      document.querySelector("[data-why-source]"),
      `From a traced round, not counted. ${this.#excerpts[0].window_us / 1000} ms of it.`,
    );
    this.rename(document.documentElement.hasAttribute("data-restaurant"));
  }

  #text(excerpt) {
    const slow = slowSpan(excerpt),
      hidden = excerpt.threads_total - excerpt.threads.length,
      more = hidden > 0 ? `${excerpt.threads.length} of ${excerpt.threads_total} threads` : "";
    return slow ? `${waitingAt(excerpt, slow.to_us - 1)} requests wait${more ? `, ${more}` : ""}` : more;
  }

  replay() {
    this.#stop();
    if (!this.#excerpts.length) return;
    const { window_us } = this.#excerpts[0];
    this.#stop = play(window_us, REPLAY_S, (us) => {
      for (const lanes of this.#stacks) lanes.showUntil(us >= window_us ? Infinity : us);
    });
  }

  /** Name the threads as in the restaurant, or as they are. */
  rename(isRestaurant) {
    const roles = JSON.parse(this.#place.querySelector("[data-role-words]").dataset.roleWords);
    const thread = isRestaurant
      ? (name) => name.replace(/^\S+/, (role) => roles[role] ?? role)
      : (name) => name;
    const words = isRestaurant
      ? { requests: "orders", slow: "slow dish" }
      : { requests: "requests", slow: "slow request" };
    for (const lanes of this.#stacks) lanes.rename({ ...words, thread });
  }
}
