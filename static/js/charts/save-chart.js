// The buttons that save a chart as PNG or SVG. The image has the theme of the page, and names the run.
import { toast } from "../lib/htmx-feedback.js";
import { chartSvg, lineSample } from "./chart-svg.js";
import { pageSample, pageSvg } from "./page-svg.js";
import { frameSvg } from "./svg-frame.js";

const PNG_SCALE = 2, // pixels of the file per CSS pixel
  KEPT_MS = 10_000; // until the browser has read the file

/** Connect the buttons of a panel. `picture()`: the body of the image with its keys. */
function connect(panel, picture) {
  const buttons = panel.querySelector("[data-save]");
  if (!buttons) return;
  buttons.hidden = false;
  buttons.onclick = (event) => {
    const type = event.target.closest("[data-save-as]")?.dataset.saveAs;
    if (type) save(panel, picture(), type).catch(() => toast("The chart could not be saved"));
  };
}

/** `drawn`: what result-charts.js returns for a chart. */
export function installSave(root, drawn) {
  const { chart, spec, name } = drawn;
  connect(root.querySelector(`[data-chart="${name}"]`), () => ({
    ...chartSvg(drawn),
    keys: spec.series.map((each) => ({ sample: lineSample(chart.plot, each), text: each.label })),
  }));
}

/** A chart that the server has drawn as SVG, with the legend of its panel. */
export function installSaveOfSvg(panel) {
  connect(panel, () => ({
    ...pageSvg(panel.querySelector("[data-save-svg]")),
    keys: [...panel.querySelectorAll(".key li")].map((item) => ({
      sample: pageSample(item.querySelector("svg")),
      text: item.textContent.trim(),
    })),
  }));
}

async function save(panel, picture, type) {
  const { run, identification } = document.querySelector("#run-main").dataset,
    { file } = panel.querySelector("[data-save]").dataset,
    title = panel.querySelector("h2").textContent.trim();
  const svg = frameSvg(panel, { title, run: identification, ...picture }),
    text = new XMLSerializer().serializeToString(svg);
  const blob = type === "svg" ? new Blob([text], { type: "image/svg+xml" }) : await png(svg, text);
  download(blob, `run-${run}-${file}.${type}`);
}

/** The pixels of an SVG. A data: URL, because the Content-Security-Policy allows no blob: as an image. */
async function png(svg, text) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  const [width, height] = ["width", "height"].map((name) => PNG_SCALE * svg.getAttribute(name)),
    canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").drawImage(image, 0, 0, width, height);
  return canvas.convertToBlob({ type: "image/png" });
}

function download(blob, name) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
}
