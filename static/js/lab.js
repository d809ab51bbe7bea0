// The home page.
import { live } from "./live.js";
import { keepNumbers } from "./numbers.js";
import { keepRun } from "./run-numbers.js";
import { keepScenario } from "./scenario.js";
import { keepSparks } from "./sparks.js";
import { Watch } from "./watch.js";

keepNumbers();
keepSparks();
keepRun();
keepScenario();
new Watch(document.querySelector("[data-lab]"));
live.subscribe({ interval_ms: 100 });
