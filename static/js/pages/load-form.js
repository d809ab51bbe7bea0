// The load form: a scenario fills the fields, editing a field switches to a custom load, fields that do not
// apply to the executor are hidden.

// Not part of a scenario: they apply to a scenario and to a custom load.
const KEPT_FIELDS = ["thresholds", "label", "trace"];

/** Hide and disable fields that do not apply: the lab rejects them for this executor. */
function showApplicableFields(form) {
  const executor = form.elements.executor.value;
  for (const [name, executors] of Object.entries(JSON.parse(form.dataset.applies))) {
    const field = form.querySelector(`[data-field="${name}"]`);
    field.hidden = !executors.includes(executor);
    form.elements[name].disabled = field.hidden;
  }
}

/** Show what to watch for in the selected scenario; a custom load has no such text. */
function showWatchText(form) {
  const text = form.elements.scenario.selectedOptions[0].dataset.watchFor,
    place = form.querySelector("[data-watch-text]");
  place.hidden = !text;
  place.querySelector("span").textContent = text ?? "";
}

function fill(field, value) {
  if (field.type === "checkbox") field.checked = Boolean(value);
  else field.value = value ?? "";
}

/** Fill every field of the plan from the scenario; fields that it does not set are empty. */
function applyScenario(form) {
  showWatchText(form);
  const { plan: given } = form.elements.scenario.selectedOptions[0].dataset;
  if (!given) {
    form.querySelector("#load-plan").open = true;
    return;
  }
  const plan = JSON.parse(given);
  for (const field of form.querySelector("[data-plan-fields]").querySelectorAll("input, select")) {
    if (field.type !== "hidden" && !KEPT_FIELDS.includes(field.name)) fill(field, plan[field.name]);
  }
  showApplicableFields(form);
}

function switchToCustom(form) {
  form.elements.scenario.value = "";
  showWatchText(form);
}

export function installLoadForm() {
  document.addEventListener("input", ({ target }) => {
    const form = target.form;
    if (
      form?.matches("[data-load-form]") &&
      target.closest("[data-plan-fields]") &&
      !KEPT_FIELDS.includes(target.name)
    )
      switchToCustom(form);
  });
  document.addEventListener("change", ({ target }) => {
    const form = target.form;
    if (!form?.matches("[data-load-form]")) return;
    if (target.name === "scenario") applyScenario(form);
    showApplicableFields(form);
  });
  const ready = () => {
    for (const form of document.querySelectorAll("[data-load-form]")) showApplicableFields(form);
  };
  document.addEventListener("htmx:after:swap", ready);
  ready();
}
