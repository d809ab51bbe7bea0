// On every page: theme, the live connection and its badge, manners of swaps, times.
import "./theme.js";
import { live } from "./live.js";
import { keepManners } from "./manners.js";
import { keepTimes } from "./when.js";

keepManners();
keepTimes();
live.start();
