"""What the page of a claim shows: its state, entries, plots, rounds, and how to repeat it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from app import format
from app.experiments.calibration import pair_text
from app.experiments.catalogue import get_claim
from app.experiments.claim import Claim, Ratio
from app.experiments.evidence import Evidence, Pair
from app.experiments.measurements import measurement
from app.pages.answers import answer_words
from app.pages.curves import CurveView, curve_view
from app.pages.plots import CountRow, RatioPlot, Row, count_row, ratio_plot, round_rows
from app.pages.restaurant import model_words
from app.results.checks import capitalised
from app.schemas.experiment import ClaimView, ExperimentRound, ExperimentView, TestResult
from app.schemas.states import Answer
from app.statistics.decision import BAND, ROUNDS, ROUNDS_MAX

GUESS_POWERS = (1.5, 2.3, 3.3)  # of the margin: predictions of a ratio beyond it
ANSWERS = (Answer.HOLDS, Answer.DOES_NOT_HOLD, Answer.NO_DIFFERENCE)


@dataclass(frozen=True, slots=True)
class EntryLine:
    """An entry with its median of the deciding figure, and its range; empty: not measured."""

    title: str
    restaurant: str
    model: str
    value: str
    range: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A ratio plot, wide and narrow, with the title of its axis."""

    title: str
    wide: RatioPlot
    narrow: RatioPlot


@dataclass(frozen=True, slots=True)
class Guess:
    """A choice of the prediction: a ratio, or an answer."""

    value: str
    words: str


@dataclass(frozen=True, slots=True)
class TrialCell:
    """One trial of a row: the value of the deciding figure, and why it does not count."""

    model: str
    entry: str
    run: int
    value: str
    void: str
    verdict: str | None


@dataclass(frozen=True, slots=True)
class RoundLine:
    """A round in the table: its trials in the order of measurement, and its ratio if it has one."""

    cell: str
    number: int
    trials: tuple[TrialCell, ...]
    ratio: str


@dataclass(frozen=True, slots=True)
class ClaimPage:
    """Everything that the template of a claim shows besides the claim itself.

    `view`: the experiment; None: there is none yet. `reference`: that of the reference machine,
    which is shown only if there is none.
    """

    claim: ClaimView
    view: ExperimentView | None
    reference: ExperimentView | None
    words: str
    figure: str
    entries: tuple[EntryLine, ...]
    plots: tuple[Plot, ...]
    curve: CurveView | None
    counts: tuple[CountRow, ...]
    guesses: tuple[Guess, ...]
    is_ratio_guess: bool
    rounds: tuple[RoundLine, ...]
    command: str
    void: int
    predicted: str
    pair: str  # what the A/A pair of the session has shown; empty: not measured


def claim_page(
    claim: ClaimView, view: ExperimentView | None, reference: ExperimentView | None = None
) -> ClaimPage:
    """Return the page of a claim with an experiment on it."""
    own = get_claim(claim.id)
    evidence = Evidence(view.rounds, view.rounds_wanted) if view else Evidence((), ROUNDS)
    chosen = own.selects(evidence) if own.selects else own.needs
    needs = [need for need in own.needs if need in chosen and isinstance(need, Ratio)]
    figure = needs[0].figure if needs else own.needs[0].figures[0] if own.needs else ""
    lines = _rounds(own, view.rounds if view else (), needs, figure)
    ratio_guess = len(needs) == 1 and needs[0].margin is not None
    return ClaimPage(
        claim=claim,
        view=view,
        reference=reference,
        words=answer_words(view.answer) if view and view.answer else "",
        figure=capitalised(measurement(figure).title) if figure else "",
        entries=tuple(_entries(claim, evidence, own, figure)),
        plots=tuple(_plots(own, needs, evidence, view)),
        curve=_curve(own, evidence),
        counts=tuple(_counts(view.ratios if view else ())),
        guesses=tuple(_ratio_guesses(needs[0].margin or BAND)) if ratio_guess else _answer_guesses(),
        is_ratio_guess=ratio_guess,
        rounds=lines,
        command=_command(claim.id, view),
        void=sum(bool(trial.void) for line in lines for trial in line.trials),
        predicted=_predicted(view),
        pair=pair_text(view.calibration) if view and view.calibration else "",
    )


def _entries(claim: ClaimView, evidence: Evidence, own: Claim, figure: str) -> Iterable[EntryLine]:
    """Yield the entries of the first cell, with what the deciding figure was there."""
    if not claim.plan:
        return
    cell = own.needs[0].cell if own.needs else claim.plan[0].key
    for entry in next((each for each in claim.plan if each.key == cell), claim.plan[0]).entries:
        values = evidence.values(cell, entry.key, figure) if figure else []
        text = measurement(figure).text if figure else str
        low, high = (text(min(values)), text(max(values))) if values else ("", "")
        yield EntryLine(
            title=entry.title,
            restaurant=model_words(entry.model, entry.title),
            model=entry.model,
            value=text(median(values)) if values else "",
            range=f"{low} to {high}" if low != high else "",
        )


def _plots(
    own: Claim, needs: Sequence[Ratio], evidence: Evidence, view: ExperimentView | None
) -> Iterable[Plot]:
    """Yield the plot of the rounds of a single ratio, else one for each margin with a row for each ratio."""
    running = view is not None and not view.has_answer
    answered = view is not None and not running
    wanted = view.rounds_wanted if view else ROUNDS
    guess = view.predicted_ratio if view else None
    if len(needs) == 1:
        need = needs[0]
        rows = round_rows(_pairs(evidence, need), 0 if answered else wanted, running)
        yield _plot(need.margin, rows, _axis_title(need), guess, answered)
        return
    for margin in dict.fromkeys(need.margin for need in needs):
        same = [need for need in needs if need.margin == margin]
        rows = [Row(_row_label(need), tuple(_ratios(evidence, need))) for need in same]
        yield _plot(margin, rows, _axis_title(same[0], many=True), None, answered, labels_above=True)


def _plot(
    margin: float | None,
    rows: Sequence[Row],
    title: str,
    guess: float | None,
    answered: bool,
    labels_above: bool = False,
) -> Plot:
    wide, narrow = (
        ratio_plot(
            margin,
            rows,
            narrow=is_narrow,
            prediction=guess,
            answered=answered,
            labels_above=labels_above,
        )
        for is_narrow in (False, True)
    )
    return Plot(title, wide, narrow)


def _pairs(evidence: Evidence, need: Ratio) -> list[Pair]:
    return evidence.pairs(need.cell, need.a, need.b, need.figure)


def _ratios(evidence: Evidence, need: Ratio) -> list[float]:
    return evidence.ratios(need.cell, need.a, need.b, need.figure)


def _row_label(need: Ratio) -> str:
    return f"{need.a} / {need.b}{f', {need.where}' if need.where else ''}"


def _axis_title(need: Ratio, many: bool = False) -> str:
    title = capitalised(measurement(need.figure).title)
    return f"{title}, ratio within each round" if many else f"{title}, {need.a} ÷ {need.b}"


def _curve(own: Claim, evidence: Evidence) -> CurveView | None:
    models = {entry.name: entry.model for cell in own.cells for entry in cell.entries}
    return curve_view(own.curve, evidence, models) if own.curve else None


def _counts(results: Sequence[TestResult]) -> Iterable[CountRow]:
    for result in results:
        if result.b is None:
            text = result.values_text or "not measured"
            yield count_row(result.title, result.values, text, result.bound or "", result.answer)


def _ratio_guesses(margin: float) -> Iterable[Guess]:
    yield Guess("1", "Equal")
    for power in GUESS_POWERS:
        ratio = margin**power
        rounded = round(ratio) if ratio >= 2 else round(ratio, 2 if ratio < 1.3 else 1)
        yield Guess(f"{rounded:g}", f"×{rounded:g}")


def _answer_guesses() -> tuple[Guess, ...]:
    return tuple(Guess(answer, capitalised(answer_words(answer, is_reference=True))) for answer in ANSWERS)


def _predicted(view: ExperimentView | None) -> str:
    """Return the prediction of the reader in words; empty: none."""
    if view is None:
        return ""
    if view.predicted_ratio:
        return f"×{format.ratio(view.predicted_ratio)}"
    return answer_words(view.prediction, is_reference=True) if view.prediction else ""


def answer_of_ratio(margin: float, ratio: float) -> Answer:
    """Return the answer that a predicted ratio means."""
    if ratio > margin:
        return Answer.HOLDS
    return Answer.NO_DIFFERENCE if 1 / BAND <= ratio <= BAND else Answer.DOES_NOT_HOLD


def _rounds(
    own: Claim, rounds: Sequence[ExperimentRound], needs: Sequence[Ratio], figure: str
) -> tuple[RoundLine, ...]:
    evidence = Evidence(rounds, ROUNDS_MAX)
    models = {entry.name: entry.model for cell in own.cells for entry in cell.entries}
    titles = {cell.key: cell.title for cell in own.cells}
    ratios: dict[tuple[str, int], str] = {}
    for need in needs:
        for pair in _pairs(evidence, need):
            ratios.setdefault(
                (need.cell, pair.number), f"×{format.ratio(pair.ratio)}" if pair.ratio else "void"
            )
    lines = []
    for each in rounds:
        trials = tuple(
            TrialCell(
                model=models.get(trial.entry, ""),
                entry=trial.entry,
                run=trial.run,
                value=measurement(figure).text(trial.values.get(figure)) if figure in trial.values else "",
                void=" ".join(dict.fromkeys(trial.void.values())),
                verdict=trial.verdict,
            )
            for trial in each.trials
        )
        lines.append(
            RoundLine(
                titles.get(each.cell, each.cell),
                each.number,
                trials,
                ratios.get((each.cell, each.number), ""),
            )
        )
    return tuple(lines)


def _command(claim: str, view: ExperimentView | None) -> str:
    if view is None:
        return f"threadlab experiment {claim}"
    rounds = " --quick" if view.quick else f" --rounds {view.rounds_wanted}"
    return f"threadlab experiment {claim}{rounds} --seed {view.seed}"
