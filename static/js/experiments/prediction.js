// The prediction of a ratio: a slider on the axis of the plot, and quick choices; both are one value.

/** A ratio with three significant digits at most, as in app/pages/answers.py. */
export function ratioText(ratio) {
  return ratio < 2 ? ratio.toFixed(2) : ratio < 10 ? ratio.toFixed(1) : ratio.toFixed(0);
}

class Prediction {
  #figure;
  #slider;
  #radios;
  #own;

  constructor(figure, guesses) {
    this.#figure = figure;
    this.#slider = figure.querySelector("[data-guess-slider]");
    this.#own = guesses.querySelector("[data-guess-own]");
    this.#radios = [...guesses.querySelectorAll("input")];
    this.#slider.hidden = false;
    this.#slider.value = this.#toSlider(1);
    this.#slider.addEventListener("input", () => this.#slide());
    guesses.addEventListener("change", ({ target }) => {
      this.#slider.value = this.#toSlider(Number(target.value));
      this.#show(Number(target.value));
    });
    new ResizeObserver(() => this.#seat()).observe(figure);
    this.#seat();
  }

  /** The plot that is visible at this width. */
  get #svg() {
    return [...this.#figure.querySelectorAll("svg.ratio-plot")].find((svg) => svg.clientWidth);
  }

  #range() {
    const { low, high } = this.#figure.querySelector("svg.ratio-plot").dataset;
    return [Number(low), Number(high)];
  }

  #fromSlider(value) {
    const [low, high] = this.#range();
    return low * (high / low) ** (value / 1000);
  }

  #toSlider(ratio) {
    const [low, high] = this.#range();
    return Math.round((Math.log(ratio / low) / Math.log(high / low)) * 1000);
  }

  #slide() {
    const ratio = this.#fromSlider(Number(this.#slider.value)),
      text = ratioText(ratio),
      radio = this.#own.querySelector("input");
    this.#own.hidden = false;
    radio.value = text;
    radio.checked = true;
    this.#own.querySelector("span").textContent = `×${text}`;
    this.#show(Number(text));
  }

  #show(ratio) {
    this.#slider.setAttribute("aria-valuetext", `×${ratioText(ratio)}`);
    const [low, high] = this.#range();
    for (const svg of this.#figure.querySelectorAll("svg.ratio-plot")) {
      const left = Number(svg.dataset.left),
        right = Number(svg.dataset.right),
        inside = Math.max(low, Math.min(high, ratio)),
        x = left + (Math.log(inside / low) / Math.log(high / low)) * (right - left),
        guess = svg.querySelector("[data-guess]"),
        label = guess.querySelector("text");
      guess.removeAttribute("hidden");
      guess.querySelector("path").setAttribute("transform", `translate(${x} 0)`);
      label.setAttribute("x", x);
      label.setAttribute("text-anchor", x > 0.8 * svg.viewBox.baseVal.width ? "end" : "middle");
      label.textContent = `Your prediction ×${ratioText(ratio)}`;
    }
  }

  /** The slider lies on the axis, so that its thumb is at the ratio. */
  #seat() {
    const svg = this.#svg;
    if (!svg) return;
    const scale = svg.clientWidth / svg.viewBox.baseVal.width,
      { left, right, foot } = svg.dataset;
    Object.assign(this.#slider.style, {
      insetInlineStart: `${left * scale - 10}px`,
      inlineSize: `${(right - left) * scale + 20}px`,
      insetBlockStart: `${foot * scale - 14}px`,
    });
  }
}

/** Connect the prediction of the page, if it asks for a ratio. */
export function installPrediction() {
  const slider = document.querySelector("[data-guess-slider]"),
    guesses = document.querySelector("[data-guesses]");
  if (slider && guesses) new Prediction(slider.closest("[data-ratio]"), guesses);
}
