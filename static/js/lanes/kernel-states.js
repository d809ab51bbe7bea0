// The states of an external server's threads, as the kernel describes them. A lane has a place for each state
// of a model's thread; each state of the kernel is drawn at one of these places, and has its own words.
const PLACES = {
  on_cpu: "handling",
  runnable: "blocked",
  receive: "reading",
  send: "writing",
  sleep: "accepting",
  disk: "accepting",
  events: "waiting",
  accept: "waiting",
  other: "waiting",
  futex: "queue",
};
const WORDS = {
  handling: "on CPU",
  blocked: "runnable, waits for a CPU",
  reading: "recv or read",
  writing: "send or write",
  accepting: "sleeps, or waits for a disk",
  waiting: "epoll_wait, accept or another wait",
  queue: "futex: lock or GIL",
};

export class KernelStates {
  #places;
  #names;

  /** `names`: all thread states by number, those of models first. */
  constructor(names) {
    this.#names = names;
    this.#places = names.map((name) => names.indexOf(PLACES[name] ?? name));
  }

  /** Return the number of the place at which a state is drawn. */
  place(state) {
    return this.#places[state] ?? state;
  }

  /** Return the words of a place. */
  words(place) {
    return WORDS[this.#names[place]] ?? this.#names[place];
  }
}
