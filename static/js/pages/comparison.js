// A comparison's page: the run that goes is kept fresh by frames, the rest by events.
import { live } from "../live/live-socket.js";
import { updateRunProgress } from "../live/run-progress.js";

live.subscribe({ interval_ms: 250 });
updateRunProgress();
