// The path under which a proxy serves the lab: the prefix of every URL that a script makes.
export const ROOT_PATH = document.documentElement.dataset.root;
