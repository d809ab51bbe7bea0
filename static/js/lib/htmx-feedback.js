// Feedback around htmx swaps: open details and typed values are carried over, buttons show that they are
// busy, errors are shown.
const isEdited = (field) =>
  field.type === "radio" || field.type === "checkbox"
    ? field.checked !== field.defaultChecked
    : field.tagName === "SELECT"
      ? [...field.options].some((o) => o.selected !== o.defaultSelected)
      : field.value !== field.defaultValue;

/**
 * Carry open details and edited values over to the new HTML, before it is on the page, so that the focus
 * can follow.
 */
function carryOverInput(old, fresh) {
  for (const fold of old.querySelectorAll("details[id][open]"))
    fresh.querySelector(`#${CSS.escape(fold.id)}`)?.setAttribute("open", "");
  for (const field of old.querySelectorAll("input[id], select[id], textarea[id]")) {
    const successor = isEdited(field) && fresh.querySelector(`#${CSS.escape(field.id)}`);
    if (successor?.type === "checkbox") successor.checked = field.checked;
    else if (
      successor &&
      (successor.tagName !== "SELECT" || [...successor.options].some((o) => o.value === field.value))
    )
      successor.value = field.value;
  }
}

/** Show a message for some seconds; screen readers announce it. */
export function toast(text) {
  const place = document.querySelector("[data-toasts]");
  const line = document.createElement("p");
  line.className = "toast";
  line.textContent = text;
  place.append(line);
  setTimeout(() => line.remove(), 8000);
}

/** The message of a problem document or of an error page. */
function errorText(ctx) {
  try {
    return JSON.parse(ctx.text).detail;
  } catch {
    /* it is an HTML page */
  }
  const page = new DOMParser().parseFromString(ctx.text ?? "", "text/html");
  return page.querySelector("[data-detail]")?.textContent ?? `The lab returned HTTP ${ctx.response.status}.`;
}

function setBusy(form, on) {
  if (!form.matches?.("form")) return;
  const buttons = [
    ...form.querySelectorAll("button"),
    ...document.querySelectorAll(`button[form="${form.id || "-"}"]`),
  ];
  for (const button of buttons) {
    if (on) button.setAttribute("aria-busy", "true");
    else button.removeAttribute("aria-busy");
  }
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    toast(`Copied ${button.dataset.copy}`);
  } catch {
    toast(button.dataset.copy);
  }
}

export function installHtmxFeedback() {
  document.addEventListener("htmx:before:swap", ({ detail }) => {
    // After a form is sent its values are discarded; a refresh by an event keeps what the user typed.
    if (detail.ctx.request.method !== "GET") return;
    for (const { target, fragment } of detail.tasks)
      if (target?.querySelectorAll) carryOverInput(target, fragment);
  });
  document.addEventListener("htmx:before:request", ({ target }) => setBusy(target, true));
  document.addEventListener("htmx:finally:request", ({ target }) => setBusy(target, false));
  document.addEventListener("htmx:response:error", ({ detail }) => {
    if (detail.ctx.response.status !== 422) toast(errorText(detail.ctx));
  });
  document.addEventListener("htmx:error", ({ detail }) => {
    if (detail.ctx?.request.method === "POST") toast("No response from the lab. Check that it is running.");
  });
  document.addEventListener("submit", ({ target }) => {
    if (!target.hasAttribute("hx-post")) setBusy(target, true);
  });
  addEventListener("pageshow", () => {
    for (const button of document.querySelectorAll("button[aria-busy]")) button.removeAttribute("aria-busy");
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (button) copy(button);
    if (event.target.closest?.('[aria-disabled="true"], [aria-busy="true"]')) event.preventDefault();
  });
}
