// The theme: light, dark, or that of the system.
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

/**
 * Call `redraw` after each change of theme, because canvases must be drawn again. Returns a function that
 * stops it.
 */
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
// Paper is white: style sheets know that, canvases must be drawn again.
addEventListener("beforeprint", () => apply("light"));
addEventListener("afterprint", () => apply(read()));
