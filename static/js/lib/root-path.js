// The path under which a proxy shows the lab: it stands before every address that a script makes.
export const ROOT_PATH = document.documentElement.dataset.root;
