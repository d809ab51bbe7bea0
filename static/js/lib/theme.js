// Theme: follows the system until told otherwise. A script file, not inline, because of the CSP.
import { recall, remember } from "./storage.js";

const NEXT = { auto: "light", light: "dark", dark: "auto" };
const root = document.documentElement;
const listeners = new Set();

function read() {
  const theme = new URLSearchParams(location.search).get("theme") ?? recall("localStorage", "theme");
  return theme in NEXT ? theme : "auto";
}

function apply(theme) {
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
  for (const button of document.querySelectorAll("[data-theme-toggle]")) {
    button.hidden = false;
    button.dataset.now = theme;
    button.textContent = `Theme: ${theme}`;
  }
  for (const redraw of listeners) redraw();
}

/** Call back after each change of theme: canvases have to be painted again. Answers how to stop that. */
export function onTheme(redraw) {
  listeners.add(redraw);
  return () => listeners.delete(redraw);
}

for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"])
  matchMedia(query).addEventListener("change", () => apply(read()));
for (const button of document.querySelectorAll("[data-theme-toggle]")) {
  button.addEventListener("click", () => {
    const theme = NEXT[button.dataset.now];
    remember("localStorage", "theme", theme);
    apply(theme);
  });
}
apply(read());
