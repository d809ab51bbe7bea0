// The load form: a scenario fills the fields, editing a field goes by hand, fields that do not apply step aside.
const ONLY_FOR = { rate_per_s: "constant-arrival-rate", spacing: "constant-arrival-rate", think_time_ms: "constant-vus" };

function applies(form) {
  const executor = form.elements.executor.value;
  for (const [name, only] of Object.entries(ONLY_FOR)) {
    const field = form.querySelector(`[data-field="${name}"]`);
    if (field) field.hidden = executor !== only;
  }
}

function watch(form, radio) {
  const place = form.querySelector("[data-watch-text]");
  place.hidden = !radio.dataset.watchFor;
  place.querySelector("span").textContent = radio.dataset.watchFor ?? "";
}

function choose(form, radio) {
  watch(form, radio);
  if (!radio.dataset.plan) return;
  const plan = JSON.parse(radio.dataset.plan);
  for (const [name, value] of Object.entries(plan)) if (form.elements[name]) form.elements[name].value = value;
  applies(form);
}

function byHand(form) {
  const radio = form.querySelector("[data-by-hand]");
  if (radio.checked) return;
  radio.checked = true;
  watch(form, radio);
}

export function keepScenario() {
  document.addEventListener("input", ({ target }) => {
    const form = target.form;
    if (form?.matches("[data-load-form]") && target.closest("[data-plan-fields]") && !["thresholds", "label"].includes(target.name)) byHand(form);
  });
  document.addEventListener("change", ({ target }) => {
    const form = target.form;
    if (!form?.matches("[data-load-form]")) return;
    if (target.name === "scenario") choose(form, target);
    applies(form);
  });
  const ready = () => { for (const form of document.querySelectorAll("[data-load-form]")) applies(form); };
  document.addEventListener("htmx:after:swap", ready);
  ready();
}
