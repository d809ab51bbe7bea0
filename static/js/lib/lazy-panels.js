// Panels that load their module and style sheet when they are opened first. Which ones are open is
// remembered.
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
      .catch(() => toast("This could not be fetched from the lab. Load the page again when it is back."));
  fold.open = recall("localStorage", fold.id) === "open";
  if (fold.open) load();
  fold.addEventListener("toggle", () => {
    remember("localStorage", fold.id, fold.open ? "open" : null);
    if (fold.open) load();
  });
}
