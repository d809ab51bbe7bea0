// Titles of thread roles, and the order in which a request meets them.
const TITLES = { main: "main reactor", sub: "sub-reactor" };
const ORDER = ["master", "acceptor", "main", "ring", "reactor", "sub", "worker", "connection"];

export const roleTitle = (role) => TITLES[role] ?? role;
export const sortRoles = (roles) => [...roles].sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b));

/**
 * Returns a function that names a thread of a role: by its index, or by its slot where all have the same
 * index (a thread per connection). A single thread has the name of its role.
 */
export function threadNamer(lanes) {
  if (lanes.length < 2 && !lanes[0].index) return ({ role }) => roleTitle(role);
  const distinct = new Set(lanes.map(({ index }) => index)).size === lanes.length;
  return ({ role, index, slot }) => `${roleTitle(role)} ${distinct ? index + 1 : slot}`;
}

/** Group threads by role: role → threads. */
export function groupByRole(lanes) {
  const roles = new Map();
  for (const lane of lanes) {
    if (!roles.has(lane.role)) roles.set(lane.role, []);
    roles.get(lane.role).push(lane);
  }
  return roles;
}
