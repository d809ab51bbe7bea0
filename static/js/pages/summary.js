// The summary: print it, or copy its address.
import { installCopyLink } from "../lib/copy-link.js";

installCopyLink();
const print = document.querySelector("[data-print]");
print.hidden = false;
print.addEventListener("click", () => window.print());
