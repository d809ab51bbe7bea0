// The list of runs: the address follows the filter, and what is done with ticked runs waits until enough
// are ticked.
const form = () => document.querySelector("[data-filter]");

function filterAddress() {
  const said = [...new FormData(form())].filter(
    ([name, value]) => value && !(name === "sort" && value === "newest"),
  );
  return said.length ? `?${new URLSearchParams(said)}` : location.pathname;
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
// The list is not made anew under somebody who writes a label: the next event does that.
for (const name of ["htmx:before:request", "htmx:before:swap"]) {
  document.addEventListener(name, (event) => {
    if (event.detail.ctx?.sourceElement?.id === "runs-list" && document.activeElement?.closest(".rename"))
      event.preventDefault();
  });
}
// It applies itself
for (const button of document.querySelectorAll("[data-filter-apply]")) button.hidden = true;
updateButtons();
