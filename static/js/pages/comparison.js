// The page of a comparison: frames update the run in progress, events the rest.
import { live } from "../live/live-socket.js";
import { updateRunProgress } from "../live/run-progress.js";

live.subscribe({ interval_ms: 250 });
updateRunProgress();
