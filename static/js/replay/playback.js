// Plays excerpts in slow motion: all of them up to the same time.
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

/**
 * Call `step(us)` with each animation frame until `windowUs`, which is reached after `seconds`; with reduced
 * motion, at once. Returns a function that stops it.
 */
export function play(windowUs, seconds, step) {
  let request = 0;
  if (reducedMotion.matches) {
    step(windowUs);
    return () => {};
  }
  const began = performance.now();
  const frame = (now) => {
    const us = Math.min(windowUs, (Math.max(0, now - began) / 1000 / seconds) * windowUs);
    step(us);
    if (us < windowUs) request = requestAnimationFrame(frame);
  };
  request = requestAnimationFrame(frame);
  return () => cancelAnimationFrame(request);
}
