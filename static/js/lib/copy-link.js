// Buttons that copy the address of the page, which carries its state.
import { toast } from "./htmx-feedback.js";

/** Show and connect the buttons below `root`. */
export function installCopyLink(root = document) {
  for (const button of root.querySelectorAll("[data-copy-link]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(location.href);
        toast("Link copied");
      } catch {
        toast(location.href);
      }
    });
  }
}
