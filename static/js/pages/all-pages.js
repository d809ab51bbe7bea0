// On every page: theme, keys, the live connection and its badge, manners of swaps, times.
import "../lib/theme.js";
import { keepKeys } from "../lib/keyboard-shortcuts.js";
import { live } from "../live/live-socket.js";
import { keepManners } from "../lib/htmx-feedback.js";
import { keepTimes } from "../lib/local-time.js";

keepKeys();
keepManners();
keepTimes();
if (document.body.dataset.live !== "off") live.start(); // who has not logged in has nothing to see
