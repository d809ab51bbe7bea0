// A notification when a long experiment or comparison ends while the page is hidden. Permission is asked for
// once, when the user starts one.
import { live } from "../live/live-socket.js";
import { duration } from "./format.js";
import { toast } from "./htmx-feedback.js";
import { recall, remember } from "./storage.js";

const LONG_S = 60,
  ANSWER_MAX_MS = 10_000; // a browser may hide the question: the job starts without an answer
const permission = () => globalThis.Notification?.permission;
let isAsking = false;

async function askBeforeStart(event) {
  const { target: form, submitter } = event;
  if (!isAsking) {
    if (!form.matches("[data-long]") && !submitter?.matches("[data-long]")) return;
    if (permission() !== "default" || recall("localStorage", "notify")) return;
  }
  event.preventDefault();
  event.stopImmediatePropagation();
  if (isAsking) return; // a second click must not start it twice
  isAsking = true;
  remember("localStorage", "notify", "asked");
  toast("Your browser asks whether the lab may notify you when this ends. It starts either way.");
  const timeout = new Promise((resolve) => setTimeout(resolve, ANSWER_MAX_MS));
  await Promise.race([Notification.requestPermission(), timeout]);
  isAsking = false;
  form.requestSubmit(submitter);
}

function notify({ kind, id, title, elapsed_s }) {
  if (!document.hidden || permission() !== "granted") return;
  const icon = document.querySelector("link[rel=icon]").href;
  try {
    // The tag: several hidden pages show one notification.
    const shown = new Notification(title, {
      body: `Ended after ${duration(elapsed_s)}.`,
      tag: `${kind}-${id}`,
      icon,
    });
    shown.addEventListener("click", () => window.focus());
  } catch {
    /* Chrome on Android has notifications of service workers only */
  }
}

export function installNotifications() {
  document.addEventListener("submit", askBeforeStart, true);
  let last = null;
  live.onJob((job) => {
    if (job === undefined) return; // disconnected: it may still be in progress
    const hasEnded = last && !(job?.kind === last.kind && job.id === last.id);
    if (hasEnded && last.kind !== "run" && last.elapsed_s >= LONG_S) notify(last);
    last = job;
  });
}
