// On every page: theme, keys, the live connection and its badge, manners of swaps, times.
import "./theme.js";
import { keepKeys } from "./keys.js";
import { live } from "./live.js";
import { keepManners } from "./manners.js";
import { keepTimes } from "./when.js";

keepKeys();
keepManners();
keepTimes();
if (document.body.dataset.live !== "off") live.start(); // who has not logged in has nothing to see
