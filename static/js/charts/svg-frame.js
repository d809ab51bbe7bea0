// The frame of a chart that is saved as an image: title, the run that it shows, and legend above the plot.
import { colourOf, packedColour } from "../lib/canvas.js";
import { svgElement } from "../diagram/svg.js";

const PAD_PX = 16,
  TITLE_PX = 15,
  TEXT_PX = 12,
  HEAD_PX = 76,
  SAMPLE_PX = 22,
  ITEM_GAP_PX = 16;
const measuring = new OffscreenCanvas(1, 1).getContext("2d");
const family = () => getComputedStyle(document.body).fontFamily;

/** The colour of a token as #rrggbb: mixed colours are not known to other programs. */
export function hexOf(element, role) {
  const colour = packedColour(colourOf(element, role)),
    bytes = [0, 8, 16].map((shift) => (colour >> shift) & 255);
  return `#${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** The width of a text in CSS pixels. */
export function textWidth(text, size, weight = 400) {
  measuring.font = `${weight} ${size}px ${family()}`;
  return measuring.measureText(text).width;
}

/**
 * Returns an SVG element. `picture`: title, run (which one it is, in a line), keys [{ sample, text }] with
 * SVG elements that are 18 px wide, and body, width and height of the plot. `element`: on the page, for its
 * colours.
 */
export function frameSvg(element, { title, run, keys, body, width, height }) {
  const tone = (role) => hexOf(element, role),
    inner = Math.max(width, textWidth(run, TEXT_PX), textWidth(title, TITLE_PX, 600)),
    text = (content, y, size, more) =>
      svgElement("text", { x: PAD_PX, y, "font-size": size, ...more }, content);
  const legend = legendRows(keys, inner, tone),
    top = HEAD_PX + legend.height;
  body.setAttribute("transform", `translate(${PAD_PX} ${top})`);
  const size = { width: Math.ceil(inner + 2 * PAD_PX), height: Math.ceil(top + height + PAD_PX) };
  return svgElement(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      ...size,
      viewBox: `0 0 ${size.width} ${size.height}`,
      "font-family": family(),
    },
    svgElement("title", {}, `${title}. ${run}`),
    svgElement("rect", { ...size, fill: tone("--surface") }),
    text(title, PAD_PX + TITLE_PX, TITLE_PX, { "font-weight": 600, fill: tone("--text") }),
    text(run, PAD_PX + TITLE_PX + 20, TEXT_PX, { fill: tone("--text-2") }),
    legend.element,
    body,
  );
}

/** The legend, in as many rows as the width needs. */
function legendRows(keys, width, tone) {
  const element = svgElement("g", { transform: `translate(${PAD_PX} ${PAD_PX + TITLE_PX + 42})` });
  let [x, y] = [0, 0];
  for (const { sample, text } of keys) {
    const wide = SAMPLE_PX + textWidth(text, TEXT_PX);
    if (x && x + wide > width) [x, y] = [0, y + TEXT_PX + 6];
    sample.setAttribute("transform", `translate(${x} ${y - 4})`);
    const label = { x: x + SAMPLE_PX, y, "font-size": TEXT_PX, fill: tone("--text-2") };
    element.append(sample, svgElement("text", label, text));
    x += wide + ITEM_GAP_PX;
  }
  return { element, height: y };
}
