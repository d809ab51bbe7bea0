// The connections of an engine by descriptor: one word each, with the state in the low byte, then a
// generation, then the slot of the owner thread.
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
  /** Idle now, and active within the last second. */
  isRecent(i) {
    return this.#recent.has(i);
  }

  /** Connections by number of the state, all at one instant, so that they add up to `size`. */
  countByState(stateCount) {
    const by = new Array(stateCount).fill(0);
    for (const word of this.#words) by[word & 0xff]++;
    by[0] = 0; // a word in state 0 is no connection
    return by;
  }

  /**
   * Apply the words of a frame: all of them, or pairs of (descriptor, word). Returns the descriptors whose
   * look has changed.
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
