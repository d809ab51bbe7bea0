// The workbench.
import { live } from "../live/live-socket.js";
import { updateLiveNumbers } from "../live/live-numbers.js";
import { updateRunProgress } from "../live/run-progress.js";
import { installLoadForm } from "./load-form.js";
import { updateCardSparklines } from "../charts/card-sparklines.js";
import { WatchedEngine } from "../live/watched-engine.js";

updateLiveNumbers();
updateCardSparklines();
updateRunProgress();
installLoadForm();
new WatchedEngine(document.querySelector("[data-lab]"));
live.subscribe({ interval_ms: 100 });
