// The time window that lanes and charts share: its length, its end, and whether it follows the present.
// Times are microseconds of the lab's clock. Frames are shown with a small delay, so that scrolling is
// even.
export const JUMP_US = 1e6;
const KEPT_US = 60e6,
  SPAN_MIN_US = 10e3,
  FOLLOW_MIN_US = 1e6,
  PLAYOUT_US = 150e3,
  LAG_SMOOTHING = 0.05,
  STEP_US = 1e6;
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

export class Timeline {
  #span = 15e6;
  #end = 0;
  #head = 0;
  #lag = null;
  #following = true;
  #auto = true;
  #readers = new Set();

  get span() {
    return this.#span;
  }
  get head() {
    return this.#head;
  }
  get following() {
    return this.#following;
  }
  /** Whether the window has the length that shows the most, instead of one that was chosen. */
  get auto() {
    return this.#auto;
  }
  /** Whether the window moves once per second: shorter ones would pass too fast to be seen. */
  get isStepped() {
    return this.#following && (reducedMotion.matches || this.#span < FOLLOW_MIN_US);
  }
  get behindUs() {
    return this.#following ? 0 : this.#head - this.#end;
  }

  onChange(reader) {
    this.#readers.add(reader);
  }

  /**
   * A frame has come whose newest time is `headUs`. Returns whether the clock went back, as after a restart
   * of the lab's machine.
   */
  update(headUs, nowMs) {
    const lag = nowMs * 1000 - headUs;
    this.#lag =
      this.#lag === null || Math.abs(lag - this.#lag) > JUMP_US
        ? lag
        : this.#lag + (lag - this.#lag) * LAG_SMOOTHING;
    const back = headUs < this.#head - JUMP_US;
    if (back) this.#end = 0;
    this.#head = headUs;
    if (!this.#following) this.#end = Math.max(this.#end, headUs - KEPT_US + this.#span);
    return back;
  }

  /** The end of the window at this time; it never goes back while it follows. */
  endAt(nowMs) {
    if (this.#following && this.#lag !== null)
      this.#end = Math.max(this.#end, Math.min(this.#head, nowMs * 1000 - this.#lag - PLAYOUT_US));
    return this.#shownEnd();
  }

  #shownEnd() {
    return this.isStepped ? Math.floor(this.#end / STEP_US) * STEP_US : this.#end;
  }

  follow(on) {
    this.#end = this.#shownEnd();
    this.#following = on;
    if (on && !this.#auto) this.#span = Math.max(this.#span, FOLLOW_MIN_US);
    this.#notify();
  }

  /** Let the window have the length that `fit` gives it. */
  chooseAuto() {
    [this.#auto, this.#following] = [true, true];
    this.#notify();
  }

  /** Set the length of an automatic window that follows the present. */
  fit(spanUs) {
    if (!this.#auto || !this.#following || spanUs === this.#span) return;
    this.#span = spanUs;
    this.#notify();
  }

  /** Set the length of the window, at the end if it follows. */
  show(spanUs) {
    this.#auto = false;
    this.#set(spanUs, this.#end - (this.#following ? 0 : (this.#span - spanUs) / 2));
  }

  /**
   * Zoom by a factor around a time; by default around the end while it follows, otherwise around the
   * middle.
   */
  zoom(factor, aroundUs = this.#following ? this.#shownEnd() : this.#end - this.#span / 2) {
    this.#end = this.#shownEnd();
    const span = Math.max(SPAN_MIN_US, Math.min(KEPT_US, this.#span * factor));
    if (span === this.#span) return false;
    this.#auto = false;
    const end = aroundUs + (this.#end - aroundUs) * (span / this.#span);
    if (aroundUs < this.#end || span < FOLLOW_MIN_US) this.#following = false;
    this.#set(span, end);
    return true;
  }

  pan(byUs) {
    this.#following = this.#end + byUs > this.#head && this.#span >= FOLLOW_MIN_US;
    this.#set(this.#span, this.#end + byUs);
  }

  oldest() {
    this.#following = false;
    this.#set(this.#span, this.#head - KEPT_US + this.#span);
  }

  #set(span, end) {
    this.#span = span;
    this.#end = Math.min(this.#head, Math.max(this.#head - KEPT_US + span, end));
    this.#notify();
  }

  #notify() {
    for (const reader of this.#readers) reader();
  }
}
