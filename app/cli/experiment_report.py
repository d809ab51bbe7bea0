"""Answers of experiments as a table, in sentences, and as an exit code."""

from __future__ import annotations

from collections.abc import Sequence

from app import format
from app.cli.console import Column, Styled, Table
from app.cli.exit_codes import BREACHED, FAILED, NO_ANSWER, OK, SIGNALLED
from app.cli.run_report import BAD, TITLE
from app.experiments.calibration import noise_sentence
from app.experiments.checks import WORDS
from app.schemas.experiment import ClaimView, ExperimentView
from app.schemas.states import Answer, JobState
from app.statistics.decision import error_summary, votes

NO_RESULT = (Answer.CANNOT_TEST, Answer.UNCLEAR, None)


def exit_code(views: Sequence[ExperimentView], stopped_by: int | None) -> int:
    """Return 0, 1 if one failed, 3 if one differs from the expectation, 4 if none could be answered.

    128 + `stopped_by` after a signal.
    """
    if stopped_by is not None:
        return SIGNALLED + stopped_by
    if any(view.state is JobState.FAILED for view in views):
        return FAILED
    if any(view.prediction and view.answer is not view.prediction for view in views):
        return BREACHED
    return NO_ANSWER if all(view.answer in NO_RESULT for view in views) else OK


def items(views: Sequence[ExperimentView]) -> list[str | Table]:
    """Return the answers as a table, the reasons of each, and what the number of tests means."""
    found: list[str | Table] = [answer_table(views), ""]
    for view in views:
        found += [Styled(f"{view.claim} (experiment {view.id}): {view.text}", TITLE)]
        found += [f"  {sentence}" for sentence in (*view.because, *view.host_notes)]
        if view.failure:
            found.append(Styled(f"  Failed: {view.failure}", BAD))
        if view.prediction:
            word = "as expected" if view.answer is view.prediction else f"expected: {WORDS[view.prediction]}"
            found.append(f"  {word}")
    return [*found, "", *summary(views)]


def summary(views: Sequence[ExperimentView]) -> list[str]:
    """Return how often each answer occurs, what the calibration shows, and the error rate."""
    counts = votes(view.answer for view in views if view.answer)
    lines = (
        [", ".join(f"{count} {WORDS[answer]}" for answer, count in counts.items()) + "."] if counts else []
    )
    calibration = next((view.calibration for view in views if view.calibration), None)
    if calibration:
        lines.append(noise_sentence(calibration))
    if tests := sum(result.b is not None for view in views for result in view.ratios):
        lines.append(error_summary(tests))
    return lines


def answer_table(views: Sequence[ExperimentView]) -> Table:
    """Return a row for each claim: its answer, and how many trials it has."""
    rows = [(view.claim, _answer(view), format.count(len(view.runs))) for view in views]
    columns = (_text_column("claim", 0, rows), _text_column("answer", 1, rows))
    return Table((*columns, Column("trials", 7)), rows)


def claim_table(claims: Sequence[ClaimView]) -> Table:
    """Return a row for each claim: how long a test takes, the last answer, and its sentence."""
    rows = [
        (claim.id, format.duration(claim.estimate_s), _last_answer(claim), claim.text) for claim in claims
    ]
    columns = (
        _text_column("claim", 0, rows),
        Column("time", 8),
        _text_column("last answer", 2, rows),
        Column("", 0, is_number=False),
    )
    return Table(columns, rows)


def _text_column(title: str, index: int, rows: Sequence[Sequence[str]]) -> Column:
    """Return a column that is as wide as its longest text."""
    width = max(map(len, (title, *(row[index] for row in rows))))
    return Column(title, width + 2, is_number=False)


def _last_answer(claim: ClaimView) -> str:
    if not claim.answers:
        return format.DASH
    last = claim.answers[0]
    origin = " (reference)" if last.experiment is None else ""
    return f"{_word(last.answer, last.noisy)}{origin}"


def _answer(view: ExperimentView) -> str:
    return _word(view.answer, view.is_noisy) if view.answer else str(view.state)


def _word(answer: Answer, noisy: bool) -> str:
    return f"{WORDS[answer]}{', noisy machine' if noisy else ''}"
