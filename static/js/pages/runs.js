// The list of runs: the URL follows the filter, and actions on selected runs are disabled until enough are
// selected.
const form = () => document.querySelector("[data-filter]");

function filterAddress() {
  const filled = [...new FormData(form())].filter(
    ([name, value]) => value && !(name === "sort" && value === "newest"),
  );
  return filled.length ? `?${new URLSearchParams(filled)}` : location.pathname;
}

function updateButtons() {
  const ticked = document.querySelectorAll('input[form="picked"]:checked').length;
  for (const button of document.querySelectorAll("[data-picks-two]")) button.disabled = ticked !== 2;
  for (const button of document.querySelectorAll("[data-picks-any]")) button.disabled = ticked === 0;
}

document.addEventListener("htmx:before:request", ({ target }) => {
  if (target === form()) history.replaceState(null, "", filterAddress());
});
document.addEventListener("change", ({ target }) => {
  if (target.matches('input[form="picked"]')) updateButtons();
});
document.addEventListener("htmx:after:swap", updateButtons);
addEventListener("pageshow", updateButtons);
document.addEventListener(
  "toggle",
  ({ target }) => {
    if (target.matches?.(".rename[open]")) target.querySelector('input[name="label"]').focus();
  },
  true,
);
// Do not replace the list while a label is being edited; the next event refreshes it.
for (const name of ["htmx:before:request", "htmx:before:swap"]) {
  document.addEventListener(name, (event) => {
    if (event.detail.ctx?.sourceElement?.id === "runs-list" && document.activeElement?.closest(".rename"))
      event.preventDefault();
  });
}
// With JavaScript the filter applies itself.
for (const button of document.querySelectorAll("[data-filter-apply]")) button.hidden = true;
updateButtons();
