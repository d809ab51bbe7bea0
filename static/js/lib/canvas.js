// What every canvas needs: sharp pixels, colours from the tokens, a redraw when size or theme changes.
import { onTheme } from "./theme.js";

const probe = document.createElement("i");
probe.hidden = true;
// With forced colours the tokens are names of system colours, which must be resolved as they are.
probe.style.forcedColorAdjust = "none";
let colours = new Map(),
  packed = new Map(); // by model and role, for this theme: resolving a colour costs a layout
const clearCaches = () => {
  colours = new Map();
  packed = new Map();
};
onTheme(clearCaches);

/** The colour of a token such as "--state-handling" at this element, or for a model, in this theme. */
export function colourOf(element, role, model = element.closest("[data-model]")?.dataset.model) {
  const key = `${model} ${role}`;
  if (!colours.has(key)) {
    element.parentElement.append(probe);
    if (model) probe.dataset.model = model;
    else delete probe.dataset.model;
    probe.style.color = `var(${role})`;
    colours.set(key, getComputedStyle(probe).color);
    probe.remove();
  }
  return colours.get(key);
}

export function coloursOf(element, roles) {
  return Object.fromEntries(roles.map((role) => [role.replace(/^--(state-)?/, ""), colourOf(element, role)]));
}

/** A colour as one integer, in the format of image pixels (little-endian: alpha, blue, green, red). */
export function packedColour(colour) {
  if (!packed.has(colour)) {
    const ctx = new OffscreenCanvas(1, 1).getContext("2d");
    ctx.fillStyle = colour;
    ctx.fillRect(0, 0, 1, 1);
    packed.set(colour, new Uint32Array(ctx.getImageData(0, 0, 1, 1).data.buffer)[0]);
  }
  return packed.get(colour);
}

/** Size the bitmap to the element, clear it, and return a context that counts in CSS pixels. */
export function prepareCanvas(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth,
    height = canvas.clientHeight;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  const ctx = canvas.getContext("2d");
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  return { ctx, width, height };
}

export function font(canvas, size, weight = 400) {
  return `${weight} ${size}px ${getComputedStyle(canvas).fontFamily}`;
}

/** Draw now, and again when size or theme changes, for as long as the canvas is on the page. */
export function redrawOnChange(canvas, draw) {
  const again = () => {
    if (canvas.isConnected) return draw();
    stop();
    sizes.disconnect();
  };
  const sizes = new ResizeObserver(again);
  const stop = onTheme(again);
  sizes.observe(canvas.parentElement);
  draw();
}

/** Diagonal hatching: occupied, but not on a CPU. */
export function hatchPattern(ctx, line, ground) {
  const tile = new OffscreenCanvas(10, 10);
  const pen = tile.getContext("2d");
  pen.fillStyle = ground;
  pen.fillRect(0, 0, 10, 10);
  pen.strokeStyle = line;
  pen.lineWidth = 1;
  for (let x = -10; x <= 20; x += 5) {
    pen.moveTo(x - 1, 11);
    pen.lineTo(x + 11, -1);
  }
  pen.stroke();
  return ctx.createPattern(tile, "repeat");
}
