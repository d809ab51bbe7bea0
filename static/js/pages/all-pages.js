// On every page: theme, keys, the live connection and its badge, manners of swaps, times.
import "../lib/theme.js";
import { installKeyboardShortcuts } from "../lib/keyboard-shortcuts.js";
import { live } from "../live/live-socket.js";
import { installHtmxFeedback } from "../lib/htmx-feedback.js";
import { showLocalTimes } from "../lib/local-time.js";

installKeyboardShortcuts();
installHtmxFeedback();
showLocalTimes();
if (document.body.dataset.live !== "off") live.start(); // who has not logged in has nothing to see
