// Every connection of an engine by its descriptor word: state in the low byte, then a generation, then the
// owner's row.
const CLOSED = 0,
  IDLE = 1,
  RECENT_US = 1e6;

function decode(text) {
  const raw = atob(text),
    bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return new Uint32Array(bytes.buffer);
}

export class ConnectionWords {
  #words = new Uint32Array(0);
  #usedAt = new Float64Array(0);
  #recent = new Set();
  size = 0;

  get recentCount() {
    return this.#recent.size;
  }
  state(i) {
    return this.#words[i] & 0xff;
  }
  owner(i) {
    return this.#words[i] >>> 16;
  }
  /** Idle now, and seen at work within the last second. */
  isRecent(i) {
    return this.#recent.has(i);
  }

  /** How many are in each state, by its number: all of one instant, so that they add up to `size`. */
  countByState(stateCount) {
    const by = new Array(stateCount).fill(0);
    for (const word of this.#words) by[word & 0xff]++;
    by[0] = 0; // a word without a connection is none
    return by;
  }

  /**
   * Take a frame's words: all of them, or pairs of (descriptor, word). Answers the descriptors that look
   * different now.
   */
  update({ full, words }, tUs) {
    const received = decode(words),
      changed = [];
    if (full) {
      this.#reserve(received.length);
      for (let i = 0; i < this.#words.length; i++) this.#set(i, received[i] ?? CLOSED, tUs, changed);
    } else
      for (let n = 0; n < received.length; n += 2) {
        this.#reserve(received[n] + 1);
        this.#set(received[n], received[n + 1], tUs, changed);
      }
    for (const i of this.#recent)
      if (Math.abs(tUs - this.#usedAt[i]) > RECENT_US) {
        this.#recent.delete(i);
        changed.push(i);
      }
    return changed;
  }

  #set(i, word, tUs, changed) {
    const old = this.#words[i],
      was = old & 0xff,
      is = word & 0xff;
    if (is > IDLE || was > IDLE) this.#usedAt[i] = tUs;
    if (old === word) return;
    this.#words[i] = word;
    this.size += (is !== CLOSED) - (was !== CLOSED);
    if (is === IDLE && was > IDLE) this.#recent.add(i);
    else this.#recent.delete(i);
    if (is !== was || old >>> 16 !== word >>> 16) changed.push(i);
  }

  #reserve(size) {
    if (size <= this.#words.length) return;
    const capacity = Math.max(size, this.#words.length * 2, 256),
      words = new Uint32Array(capacity),
      usedAt = new Float64Array(capacity);
    words.set(this.#words);
    usedAt.set(this.#usedAt);
    [this.#words, this.#usedAt] = [words, usedAt];
  }
}
