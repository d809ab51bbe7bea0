// An SVG chart of the page as part of an image: a copy that needs no style sheet.
import { svgElement } from "../diagram/svg.js";

const PROPERTIES = [
  "fill",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "paint-order",
  "font-size",
  "font-weight",
  "text-anchor",
];

/** A copy of an SVG element whose shapes have their computed style as attributes. */
export function styledCopy(element) {
  const copy = element.cloneNode(true),
    originals = element.querySelectorAll("*");
  [...copy.querySelectorAll("*")].forEach((each, i) => {
    const style = getComputedStyle(originals[i]);
    each.removeAttribute("class");
    for (const name of PROPERTIES) each.setAttribute(name, style.getPropertyValue(name));
  });
  return copy;
}

/** An SVG chart of the page, at the size of its view box. Returns { body, width, height }. */
export function pageSvg(element) {
  const { x, y, width, height } = element.viewBox.baseVal,
    copy = styledCopy(element);
  return { body: svgElement("g", {}, shifted(copy, -x, -y)), width, height };
}

/** The sample of a legend of the page: its shapes, in the middle of 16 px. */
export const pageSample = (element) => svgElement("g", {}, shifted(styledCopy(element), 8, 0));

const shifted = (copy, x, y) => svgElement("g", { transform: `translate(${x} ${y})` }, ...copy.childNodes);
