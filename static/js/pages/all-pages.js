// Loaded by every page: theme, keyboard shortcuts, live connection, feedback of htmx, local times,
// progress in the title, notifications.
import "../lib/theme.js";
import { installKeyboardShortcuts } from "../lib/keyboard-shortcuts.js";
import { live } from "../live/live-socket.js";
import { installHtmxFeedback } from "../lib/htmx-feedback.js";
import { showLocalTimes } from "../lib/local-time.js";
import { installNotifications } from "../lib/notify-end.js";
import { showJobInTitle } from "../lib/tab-title.js";

installKeyboardShortcuts();
installHtmxFeedback();
showLocalTimes();
showJobInTitle();
installNotifications();
if (document.body.dataset.live !== "off") live.start(); // the login page has no live data
