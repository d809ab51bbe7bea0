// Presentation: one step of a claim at a time, for a projector. F enters, the arrows move, Escape leaves.
const STEPS = ["ask", "running", "answered", "why"];
const PARAMETER = "present";

export class Presentation {
  #state;

  /** `state`: of the experiment. Only steps that the page has can be shown. */
  constructor(state) {
    this.#state = state;
    for (const button of document.querySelectorAll("[data-present]")) {
      button.hidden = false;
      button.addEventListener("click", () => this.enter());
    }
    for (const button of document.querySelectorAll("[data-presenter] [data-step]"))
      button.addEventListener("click", () => this.#show(button.dataset.step));
    if (new URLSearchParams(location.search).has(PARAMETER)) this.enter();
  }

  get #isOn() {
    return document.body.hasAttribute("data-presenting");
  }

  /** The steps that can be shown in this state. */
  get #steps() {
    if (this.#state !== "answered") return [this.#state];
    return document.querySelector("#why") ? ["answered", "why"] : ["answered"];
  }

  enter() {
    document.body.toggleAttribute("data-presenting", true);
    document.querySelector("[data-presenter]").hidden = false;
    this.#setAddress(true);
    this.#show(this.#steps[0]);
    dispatchEvent(new Event("resize"));
  }

  leave() {
    document.body.toggleAttribute("data-presenting", false);
    delete document.body.dataset.step;
    document.querySelector("[data-presenter]").hidden = true;
    this.#setAddress(false);
  }

  /** Whether the key did something. */
  key(name) {
    if (!this.#isOn) {
      if (name !== "f" && name !== "F") return false;
      this.enter();
      return true;
    }
    if (name === "Escape" || name === "f" || name === "F") this.leave();
    else if (name === "ArrowRight" || name === "PageDown") this.#move(1);
    else if (name === "ArrowLeft" || name === "PageUp") this.#move(-1);
    else return false;
    return true;
  }

  #move(by) {
    const steps = this.#steps,
      to = steps.indexOf(document.body.dataset.step) + by;
    if (steps[to]) this.#show(steps[to]);
  }

  #show(step) {
    if (!this.#steps.includes(step)) return;
    document.body.dataset.step = step;
    for (const button of document.querySelectorAll("[data-presenter] [data-step]")) {
      const isShown = button.dataset.step === step;
      if (isShown) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
      button.disabled = !STEPS.includes(button.dataset.step) || !this.#steps.includes(button.dataset.step);
    }
    document.dispatchEvent(new CustomEvent("presentation-step", { detail: step }));
  }

  #setAddress(on) {
    const query = new URLSearchParams(location.search);
    if (on) query.set(PARAMETER, "1");
    else query.delete(PARAMETER);
    history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
  }
}
