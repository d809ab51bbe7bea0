// The home page.
import { live } from "../live/live-socket.js";
import { keepNumbers } from "../live/live-numbers.js";
import { keepRun } from "../live/run-progress.js";
import { keepScenario } from "./load-form.js";
import { keepSparks } from "../charts/card-sparklines.js";
import { Watch } from "../live/watched-engine.js";

keepNumbers();
keepSparks();
keepRun();
keepScenario();
new Watch(document.querySelector("[data-lab]"));
live.subscribe({ interval_ms: 100 });
