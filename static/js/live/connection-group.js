// The connections of one owner in the grid: each has a place, which it keeps while others come and go.
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

  /** So many places it takes: some more than it has, so that who comes finds one. */
  get neededCapacity() {
    return Math.ceil(this.n * CAPACITY_FACTOR) + CAPACITY_SPARE;
  }

  /** Close the ranks; answers who stands where now. */
  compact() {
    [this.places, this.free] = [this.places.filter((i) => i >= 0), []];
    return this.places;
  }
}
