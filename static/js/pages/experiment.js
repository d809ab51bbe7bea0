// The page of a claim: prediction, progress, replay of a traced round, presentation, restaurant.
import { installPrediction } from "../experiments/prediction.js";
import { Presentation } from "../experiments/presentation.js";
import { Why } from "../experiments/why.js";
import { installCopyLink } from "../lib/copy-link.js";
import { installRestaurant, isRestaurant } from "../lib/restaurant.js";

const TEXT_FIELDS = "input:not([type=radio], [type=checkbox], [type=range]), select, textarea";
let shown = null,
  why = null,
  presentation = null;

/** Take over the block of the experiment, which is replaced after each round. */
function mount() {
  const root = document.querySelector("#experiment");
  if (!root || root === shown) return;
  shown = root;
  why?.end();
  const place = root.querySelector("[data-excerpts]");
  why = place ? new Why(place) : null;
  installPrediction();
  installCopyLink(root);
  presentation = new Presentation(root.dataset.state);
  installRestaurant(root, (on) => why?.rename(on));
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.(TEXT_FIELDS)) return;
  if (document.querySelector("dialog[open]")) return;
  const isSlider = event.target.matches?.("[type=range], [type=radio]") && event.key.startsWith("Arrow");
  if (!isSlider && presentation?.key(event.key)) event.preventDefault();
});
document.addEventListener("presentation-step", ({ detail }) => {
  if (detail === "why") why?.replay();
});
document.addEventListener("htmx:after:swap", mount);
mount();
if (isRestaurant()) document.documentElement.toggleAttribute("data-restaurant", true);
