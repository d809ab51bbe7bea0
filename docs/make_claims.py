"""Writes docs/claims.md from the catalogue of claims: `make docs`.

For each claim: its source, how it is tested, what decides, what the method cannot see, and how to refute it.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.experiments.calibration import noise_sentence
from app.experiments.catalogue import catalogue
from app.experiments.checks import WORDS
from app.experiments.claim import Claim, Ratio
from app.experiments.measurements import measurement
from app.experiments.reference import reference, reference_answers
from app.experiments.variants import variant_id
from app.load.protocol.plan import Plan
from app.plans.describe import describe
from app.statistics.decision import BAND, ROUNDS, ROUNDS_MAX, probability_of_success

WIDTH = 110

TITLE = "# Claims"
PARAGRAPH = (
    "The literature on thread models repeats claims that its readers cannot check. `threadlab "
    "experiment CLAIM` tests one on your machine, `--article` those of the article behind this project,"
    " `--all` all of them. This page is generated from `app/experiments/claims` (`make docs`); a claim "
    "is one file there."
)
RULES = (
    "**Ratios** are taken within rounds: a round measures every entry once, each in a new process, in "
    f"random order. A claim of a difference *holds* if the ratio is beyond its margin in {ROUNDS} of "
    f"{ROUNDS} rounds, or in {ROUNDS_MAX - 1} of {ROUNDS_MAX}. *No difference* means that all ratios are"
    f" within 1/{BAND:.2f} to {BAND:.2f}. It *does not hold* if the ratio is short of the margin as "
    'often; the sentence says "smaller than claimed" or "reversed". Otherwise it is *too close to '
    "call*.",
    "**Equivalence** holds where there is no difference.",
    "**Counts** (threads, calls, bytes per connection, shares) need one to three trials and a bound.",
    "**Variants** change one condition so that the claim should fail: `threadlab experiment "
    "pool-9x~one-worker`, or *Try to refute it* on the page of the claim. Their answers are kept apart.",
    "*Cannot test* comes with the reason, such as a load generator that was the limit. *Not judged* "
    "claims show numbers only.",
    f"The error rate is {100 * probability_of_success(0.5):.2f} % for each test and direction where the true "
    "ratio is at the margin, both looks included. It is not corrected for the number of claims "
    "([results.md](results.md#comparisons)).",
    "Each session compares a model with itself (A/A). If that is not without difference, twice, all ratio "
    "answers of the session are marked *noisy*. The answer of a single claim is shown before its pair is "
    "measured, and that of the first of several claims before a noisy pair is repeated.",
    "`--quick` measures three short rounds: they *lean* and are no answer.",
)


def main() -> None:
    """Write the page to standard output."""
    sys.stdout.write(page())


def page() -> str:
    """Return the page."""
    lines = [TITLE, "", *textwrap.wrap(PARAGRAPH, WIDTH), "", *_items((*RULES, _machine()))]
    for claim in catalogue().values():
        lines += ["", f"## {claim.id}", "", f"**{claim.text}**", "", *_items(_facts(claim))]
    return "\n".join(lines) + "\n"


def _machine() -> str:
    """Return where and when the reference answers were measured."""
    view, calibration = next(
        (view, view.calibration) for view in reference().experiments.values() if view.calibration
    )
    env = view.environment
    return (
        f"**Reference answers** are those of one machine, measured on {view.created_at[:10]} at commit "
        f"`{reference().commit}`: {env['cpu_model']}, {env['cores']} CPUs, "
        f"{env['memory_bytes'] / 2**30:.0f} GiB, {env['kernel']}, {env['python']}. The lab shows them for "
        f"claims that were not tested on yours. {noise_sentence(calibration)}"
    )


def _items(texts: Iterable[str]) -> Iterator[str]:
    """Yield texts as list items, wrapped."""
    for text in texts:
        yield from textwrap.wrap(
            text,
            WIDTH,
            initial_indent="- ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )


def _facts(claim: Claim) -> Iterator[str]:
    source = claim.source
    yield f"Source: {f'[{source.name}]({source.url})' if source.url else source.name}."
    yield f"Tested as: {claim.tested_as}."
    for cell in claim.cells:
        entries = ", ".join(f"`{entry.name}`" for entry in cell.entries)
        yield f"Cell `{cell.key}`: {_load(cell.plan)}; {entries}."
    for need in claim.needs:
        if isinstance(need, Ratio):
            rule = "equivalence" if need.margin is None else f"margin {need.margin:.2f}"
            title = measurement(need.figure).title
            yield f"Decides in `{need.cell}`: {title}, `{need.a}` / `{need.b}`, {rule}."
    for found in reference_answers(claim.id):
        noisy = " (noisy machine)" if found.noisy else ""
        yield f"Reference answer: *{WORDS[found.answer]}*{noisy}. {' '.join(found.because)}"
    for limit in claim.cannot_show:
        yield f"Cannot show: {limit}"
    yield f"Try to refute it: {claim.refute}"
    for each in claim.refutations:
        yield f"Variant `{variant_id(claim, each)}`: {each.text}"


def _load(plan: Mapping[str, Any]) -> str:
    """Return a plan in one line, without a duration that the session decides."""
    text = describe(Plan.from_json(plan))
    return text if "duration_s" in plan else text.rpartition(", ")[0]


if __name__ == "__main__":
    main()
