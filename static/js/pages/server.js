// The page of an external server: the lanes of its newest engine.
import { LiveEngine } from "../live/live-engine.js";
import { updateLiveNumbers } from "../live/live-numbers.js";

new LiveEngine();
updateLiveNumbers();
