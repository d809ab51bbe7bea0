// SVG elements of a diagram.
const NAMESPACE = "http://www.w3.org/2000/svg";

export function svgElement(name, attributes = {}, ...children) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** A label in both vocabularies, the literature's and the restaurant's; CSS shows the one that is chosen. */
export function labels([plain, kitchen], x, y, look = "") {
  const text = (word, kind) => svgElement("text", { x, y, class: `${kind} ${look}` }, word);
  return plain === kitchen ? [text(plain, "")] : [text(plain, "words-plain"), text(kitchen, "words-kitchen")];
}

/** The hatching of a blocked thread, as `url(#hatch)`. */
export function hatchDefinition() {
  const pattern = svgElement(
    "pattern",
    { id: "hatch", width: 4, height: 4, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    svgElement("rect", { width: 4, height: 4, class: "hatch-ground" }),
    svgElement("rect", { width: 1.4, height: 4, class: "hatch-line" }),
  );
  return svgElement("defs", {}, pattern);
}
