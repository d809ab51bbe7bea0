// The connections of one owner in the grid. Each keeps its place while others open and close.
const CAPACITY_FACTOR = 1.15,
  CAPACITY_SPARE = 4;

export class ConnectionGroup {
  places = [];
  free = [];
  top = 0;
  capacity = 0;
  n = 0;

  constructor(name) {
    this.name = name;
  }

  allocate(i) {
    const place = this.free.pop() ?? this.places.length;
    this.places[place] = i;
    this.n++;
    return place;
  }

  release(place) {
    this.places[place] = -1;
    this.free.push(place);
    this.n--;
  }

  /** Places to reserve: some more than connections, so that new ones find one. */
  get neededCapacity() {
    return Math.ceil(this.n * CAPACITY_FACTOR) + CAPACITY_SPARE;
  }

  /** Remove free places; returns the connections by place. */
  compact() {
    [this.places, this.free] = [this.places.filter((i) => i >= 0), []];
    return this.places;
  }
}
