// Paints lanes column by column. The filled height is the share of the time of a pixel that was spent in a
// state. The hue is the model; tone and place are the state: reading is at the bottom, writing at the top
// (up to 60 % of the lane each), handling, blocked (hatched) and accepting are stacked above reading,
// waiting for I/O is a line, waiting for an empty queue a dotted line. Where a pixel has several changes of
// state, the whole lane has the tone of the utilisation instead: a heat map.
import { colourOf, packedColour } from "../lib/canvas.js";

const PART_HEIGHT = 0.6,
  ALPHA_MIN = 0.3,
  OPAQUE_COVER = 0.5,
  SHARE_MIN = 0.003,
  HEAT_MIN = 0.1,
  HATCH_PERIOD_PX = 5;
const STACKED = [
  ["reading", PART_HEIGHT],
  ["handling", 1],
  ["blocked", 1],
  ["accepting", 1],
];
const faded = (tone, alpha) => ((tone & 0xffffff) | (Math.round(alpha * 255) << 24)) >>> 0;

export class LanePainter {
  #stacked;
  #writing;
  #heat;
  #blocked;
  #busy;
  #waiting;
  #queue;
  #hatch;
  #line;

  /**
   * Colours are resolved once: make another painter when the theme changes. `highlighted`: a Set of states;
   * the others are faded.
   */
  constructor(canvas, names, highlighted = null) {
    const tone = (name) =>
        faded(
          packedColour(colourOf(canvas, `--state-${name}`)),
          highlighted && !highlighted.has(name) ? 0.2 : 1,
        ),
      at = (name) => names.indexOf(name);
    this.#stacked = STACKED.map(([name, reach]) => ({
      state: at(name),
      reach,
      tone: tone(name),
      hatched: name === "blocked",
    }));
    [this.#heat, this.#blocked] = [tone("handling"), at("blocked")];
    this.#busy = [at("writing"), ...this.#stacked.map(({ state }) => state)];
    this.#writing = { state: at("writing"), tone: tone("writing") };
    this.#waiting = { state: at("waiting"), tone: tone("waiting") };
    this.#queue = { state: at("queue"), tone: tone("queue") };
    this.#hatch =
      highlighted && !highlighted.has("blocked") ? faded(tone("handling"), 0.2) : tone("handling");
    this.#line = Math.max(1, Math.round(devicePixelRatio));
  }

  /**
   * Paint column `x` of `pixels` (`stride` wide). `number` identifies the column, so that patterns move
   * with it.
   */
  column(pixels, stride, x, number, top, high, shares, span) {
    const waiting = shares[this.#waiting.state],
      queue = shares[this.#queue.state],
      middle = top + (high >> 1),
      line = this.#line;
    if (waiting + queue > 0 && (waiting >= queue || number % (4 * line) < 2 * line)) {
      const tone = (waiting >= queue ? this.#waiting : this.#queue).tone;
      for (let y = middle; y < middle + line; y++) pixels[y * stride + x] = tone;
    }
    let floor = top + high;
    for (const { state, reach, tone, hatched } of this.#stacked) {
      const share = shares[state] / span;
      if (share < SHARE_MIN) continue;
      const to = Math.max(top, floor - share * reach * high);
      this.#fill(pixels, stride, x, to, floor, hatched ? number : -1, tone);
      floor = to;
    }
    const writing = shares[this.#writing.state] / span;
    if (writing >= SHARE_MIN)
      this.#fill(pixels, stride, x, top, top + writing * PART_HEIGHT * high, -1, this.#writing.tone);
  }

  /**
   * Paint the state that took most of the busy time of column `x` in its full height, however short it was:
   * where changes of state are rare, each request can be seen.
   */
  single(pixels, stride, x, number, top, high, shares, span) {
    let longest = -1;
    for (const state of this.#busy) if (shares[state] > (shares[longest] ?? 0)) longest = state;
    if (longest >= 0) {
      shares.fill(0);
      shares[longest] = span;
    }
    this.column(pixels, stride, x, number, top, high, shares, span);
  }

  /**
   * Paint the utilisation of column `x`: the more of its time the thread was not idle, the darker. It is
   * hatched where most of that time was spent in blocked handlers.
   */
  heat(pixels, stride, x, number, top, high, shares, span) {
    let busy = 0;
    for (const state of this.#busy) busy += shares[state];
    if (busy / span < SHARE_MIN) return this.column(pixels, stride, x, number, top, high, shares, span);
    const tone = this.#heat,
      alpha = ((tone >>> 24) / 255) * (HEAT_MIN + (1 - HEAT_MIN) * Math.min(1, busy / span)),
      own = faded(tone, alpha),
      hatched = shares[this.#blocked] * 2 > busy;
    for (let y = top; y < top + high; y++)
      if (!hatched || (number + y) % (HATCH_PERIOD_PX * this.#line) >= this.#line)
        pixels[y * stride + x] = own;
  }

  /** Fill from `top` to `bottom`, which may be fractions: a pixel that is covered in part is fainter. */
  #fill(pixels, stride, x, top, bottom, hatch, tone) {
    for (let y = Math.floor(top); y < bottom; y++) {
      const cover = Math.min(bottom, y + 1) - Math.max(top, y),
        at = y * stride + x;
      const own =
        hatch >= 0 && (hatch + y) % (HATCH_PERIOD_PX * this.#line) < this.#line ? this.#hatch : tone;
      if (cover >= OPAQUE_COVER) pixels[at] = own;
      else if (!pixels[at]) pixels[at] = faded(own, Math.max(ALPHA_MIN, cover) * ((own >>> 24) / 255));
    }
  }
}
