"""Fitness: whether each figure of a trial can be relied on, or the sentence that says why not. Pure.

What spoils one figure may leave another alone: sends that are a little late change a p99, and not the CPU of a request.

    every figure   the engine or the generator died, requests failed, or the lab itself disturbed the trial
    cost           of an offered rate, less than 99 % was answered: it is the cost of another rate
    rate, latency  the generator or the kernel was the limit, or the numbers contradict each other
    percentiles    the generator's own lateness changes them
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from app.load.protocol.plan import Plan
from app.results.figures import Family, Figure, figure
from app.results.verdict import ERRORS_MAX, RATE_RATIO_MIN, TRACE_COSTS, Evidence
from app.schemas.result import Summary, Verdict
from app.schemas.scenario import ScenarioView
from app.schemas.states import VerdictName

LATENESS_SHARE_MAX = 0.10  # of the percentile without the generator's lateness
LATENESS_MIN_US = 250.0  # a smaller change never makes a percentile invalid
SHARED_GENERATOR_MAX = (
    0.10  # of one CPU: a generator that uses no more takes nothing from an engine beside it
)
TOO_FEW = "There were too few requests for it"
LOAD_SPOILED = frozenset(
    (VerdictName.KERNEL_DROPS, VerdictName.CLIENT_BOUND, VerdictName.RATE_MISSED, VerdictName.NOISY)
)


def appraise(
    verdict: Verdict, evidence: Evidence, summary: Summary, figures: Iterable[Figure], main: str
) -> Verdict:
    """The verdict with the fitness of these figures; `main`: the one that the run is read for."""
    whole = _of_everything(evidence)
    load = whole or _of_load(verdict, evidence)
    cost = whole or _of_cost(evidence)
    fitness: dict[str, str | None] = {}
    for each in figures:
        if each.family is Family.COST:
            fitness[str(each)] = cost
        elif each.family is Family.LATENCY:
            fitness[str(each)] = load or _of_percentile(each, summary, evidence)
        else:
            fitness[str(each)] = load
    return replace(verdict, figure=main, fitness=fitness, rankable=main in fitness and fitness[main] is None)


def unfit(verdict: Verdict, names: Iterable[str], reason: str) -> Verdict:
    """The verdict with these figures spoiled by `reason`, unless they were already."""
    fitness = dict(verdict.fitness)
    for name in names:
        fitness[name] = fitness.get(name) or reason
    return replace(verdict, fitness=fitness, rankable=verdict.rankable and verdict.figure not in set(names))


def resolution_us(of: Figure, summary: Summary | None) -> float | None:
    """By how much the generator's own lateness changes a percentile; None where either is not known."""
    raw, corrected = (getattr(each, of.name, None) for each in of.times(summary))
    return abs(raw - corrected) if raw is not None and corrected is not None else None


def spoiled(verdict: Verdict) -> dict[str, str]:
    """Why figures of a run are not valid: each reason, with the names of its figures in one line.

    Percentiles of too few requests are left out: they are shown as missing.
    """
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, reason in verdict.fitness.items():
        if reason and not reason.startswith(TOO_FEW):
            found[reason].append(figure(name).title)
    if len(found) == 1 and all(verdict.fitness.values()):
        return {reason: "every figure" for reason in found}
    return {reason: ", ".join(titles) for reason, titles in found.items()}


def reason_of(verdict: Verdict, name: str) -> str | None:
    """Why a figure of a run is not to be relied on; None: it is. Runs of before 0.2 have one reason for all."""
    return verdict.fitness.get(name) if verdict.fitness else verdict.why_not


def _of_everything(e: Evidence) -> str | None:
    if e.died or e.lost:
        return e.died or e.lost
    total = e.requests + e.errors
    if not total:
        return "Nothing was answered in the measured time."
    share = e.errors / total
    disturbed = (
        (share > ERRORS_MAX, f"{100 * share:.1f} % of the requests failed."),
        (e.stopped, "It was stopped early."),
        (e.stalled, "It was stalled on purpose."),
        (e.traced, f"It was traced, which costs {TRACE_COSTS}."),
        (e.swaps > 0, "It was a relay, in which engines take over from each other."),
        (e.beside > 0, "It shared the machine with other runs."),
    )
    return " ".join(said for it_was, said in disturbed if it_was) or None


def _of_cost(e: Evidence) -> str | None:
    if not e.is_open or e.rate_ratio is None or e.rate_ratio >= RATE_RATIO_MIN:
        return None
    return f"Only {100 * e.rate_ratio:.1f} % of the offered rate was answered, so it is the cost of another rate."


def _of_load(verdict: Verdict, e: Evidence) -> str | None:
    if verdict.name in LOAD_SPOILED:
        return f"{verdict.title}. {verdict.because[0]}"
    if e.placement == "shared" and not e.is_open:
        used = e.generator_utilisation
        if used is None or used > SHARED_GENERATOR_MAX:
            return "Engine and load generator shared their CPUs, and the generator used more than a tenth of one."
    return None


def _of_percentile(of: Figure, summary: Summary, e: Evidence) -> str | None:
    raw, corrected = of.times(summary)
    value = getattr(raw, of.name, None)
    if value is None:
        return f"{TOO_FEW}: {raw.count if raw else 0:,}, and ten must lie above a percentile."
    exact = getattr(corrected, of.name, None)
    if exact is None:
        return None
    gap = abs(value - exact)
    if gap <= max(LATENESS_SHARE_MAX * exact, LATENESS_MIN_US):
        return None
    said = f"The load generator's own lateness makes {gap / 1000:,.2f} ms of its {value / 1000:,.2f} ms."
    if e.is_open and e.placement == "split" and not e.realtime:
        said += " Real-time priority would make it less: docs/deploy.md says how to allow it."
    return said


def main_figure(scenario: ScenarioView | None, plan: Plan) -> str:
    """The figure that a run is read for: its scenario's, or the usual one of its kind of load."""
    if scenario:
        named = figure(scenario.figure)
        labels = {work.label for work in plan.work}
        if not named.label or (len(labels) > 1 and named.label in labels):
            return scenario.figure
    if plan.executor == "find-capacity":
        return "kept_per_s"
    return "cpu_us" if plan.is_open else "achieved_per_s"
