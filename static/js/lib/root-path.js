// The path under which a proxy shows the lab: it stands before every address that a script makes.
export const ROOT = document.documentElement.dataset.root;
