// A fold that needs a module gets it when it is opened for the first time; what was left open is open on the next visit.
import { toast } from "./manners.js";
import { recall, remember } from "./store.js";

for (const fold of document.querySelectorAll("details[data-module]")) {
  const load = () => import(`./${fold.dataset.module}.js`).catch(() => toast("This could not be fetched from the lab. Load the page again when it is back."));
  fold.open = recall("localStorage", fold.id) === "open";
  if (fold.open) load();
  fold.addEventListener("toggle", () => {
    remember("localStorage", fold.id, fold.open ? "open" : null);
    if (fold.open) load();
  });
}
