// A comparison's page: the run that goes is kept fresh by frames, the rest by events.
import { live } from "./live.js";
import { keepRun } from "./run-numbers.js";

live.subscribe({ interval_ms: 250 });
keepRun();
