// Panels that load their module and style sheet when first opened. Open panels stay open on the next visit.
import { toast } from "./htmx-feedback.js";
import { recall, remember } from "./storage.js";

/** Add a style sheet to the page; the promise settles when it is loaded. */
function loadStyleSheet(href) {
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
  document.head.append(link);
  return new Promise((done, failed) => {
    link.onload = done;
    link.onerror = failed;
  });
}

for (const fold of document.querySelectorAll("details[data-module]")) {
  let loaded = null;
  const load = () =>
    (loaded ??= loadStyleSheet(fold.dataset.styleSheet))
      .then(() => import(`../${fold.dataset.module}.js`))
      .catch(() => toast("Could not load this panel. Reload the page when the lab is reachable."));
  if (recall("localStorage", fold.id) === "open") fold.open = true; // one that is open already stays open
  if (fold.open) load();
  fold.addEventListener("toggle", () => {
    remember("localStorage", fold.id, fold.open ? "open" : null);
    if (fold.open) load();
  });
}
