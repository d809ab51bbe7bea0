// The title of the tab: during a job of the lab its progress, also while the page is hidden.
import { live } from "../live/live-socket.js";

export function showJobInTitle() {
  let own = document.title,
    current = null;
  const show = () => {
    document.title = current ? `${current.percent} % · ${current.title} – Thread Model Lab` : own;
  };
  live.onJob((job) => {
    current = job;
    show();
  });
  // htmx sets the title of the page that it has read after this event.
  document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
    own = ctx.title || own;
    ctx.title = null;
    show();
  });
}
