// The list of claims: the counts of answers filter it; the address keeps the filter.
const PARAMETER = "answer";

const selected = () => new URLSearchParams(location.search).get(PARAMETER);

function apply() {
  const answer = selected();
  for (const button of document.querySelectorAll("[data-answer-filter]"))
    button.setAttribute("aria-pressed", String(button.dataset.answerFilter === answer));
  for (const claim of document.querySelectorAll(".claim"))
    claim.hidden = Boolean(answer) && claim.dataset.answerOf !== answer;
  for (const group of document.querySelectorAll(".claim-group"))
    group.hidden = !group.querySelector(".claim:not([hidden])");
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-answer-filter]");
  if (!button) return;
  const query = new URLSearchParams(location.search);
  if (selected() === button.dataset.answerFilter) query.delete(PARAMETER);
  else query.set(PARAMETER, button.dataset.answerFilter);
  history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
  apply();
});
document.addEventListener("htmx:after:swap", apply);
apply();
