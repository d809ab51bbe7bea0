// The switch that retells a page as a restaurant. It is remembered, for all pages that have it.
import { recall, remember } from "./storage.js";

const KEY = "restaurant";

export const isRestaurant = () =>
  new URLSearchParams(location.search).has(KEY) || recall("localStorage", KEY) === "on";

/** Connect the switches below `root`; `onChange(on)` is called now and with each change. */
export function installRestaurant(root, onChange = () => {}) {
  const apply = (on) => {
    document.documentElement.toggleAttribute("data-restaurant", on);
    onChange(on);
  };
  for (const box of root.querySelectorAll("[data-kitchen]")) {
    box.checked = isRestaurant();
    box.addEventListener("change", () => {
      remember("localStorage", KEY, box.checked ? "on" : null);
      apply(box.checked);
    });
  }
  apply(isRestaurant());
}
