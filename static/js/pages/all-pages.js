// Loaded by every page: theme, keyboard shortcuts, live connection, feedback of htmx, local times.
import "../lib/theme.js";
import { installKeyboardShortcuts } from "../lib/keyboard-shortcuts.js";
import { live } from "../live/live-socket.js";
import { installHtmxFeedback } from "../lib/htmx-feedback.js";
import { showLocalTimes } from "../lib/local-time.js";

installKeyboardShortcuts();
installHtmxFeedback();
showLocalTimes();
if (document.body.dataset.live !== "off") live.start(); // the login page has no live data
