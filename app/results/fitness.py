"""Decides for each figure of a trial whether it is valid, or the sentence that says why it is not. Pure.

An event invalidates only the figures that it changes: a few late sends change a p99, but not CPU per request.

    every figure   engine or load generator died, requests failed, or the trial itself disturbed the server
    cost           less than 99 % of an offered rate was reached: it is the cost at another rate
    rate, latency  load generator or kernel was the limit, or the measurement contradicts itself
    percentiles    late sends by the load generator changed them
    fairness       there were too few requests per connection; not a saturated generator, see below

A figure of a load group is invalid also if the group itself failed, missed its rate or had too few requests.

Fairness stays valid if the load generator was the limit: it reads responses in the order in which they
arrive, so it delays all connections alike, and it cannot leave one without a response.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from app import format
from app.load.protocol.plan import Plan
from app.results.evidence import Evidence
from app.results.figures import Family, Figure, figure
from app.results.limits import ERRORS_MAX, RATE_RATIO_MIN
from app.results.verdict import NO_RESPONSES
from app.schemas.result import Summary, Verdict
from app.schemas.scenario import ScenarioView
from app.schemas.states import VerdictName

LATENESS_SHARE_MAX = 0.10  # of the percentile without late sends
LATENESS_MIN_US = 250.0  # a smaller difference never invalidates a percentile
SHARED_GENERATOR_MAX = (
    0.10  # of one CPU: up to it, a generator on the engine's CPUs does not disturb the engine
)
FAIRNESS_REQUESTS_MIN = 10  # mean per connection; distributed by chance alone, the index is then 0.91
TOO_FEW = "Too few requests"
_TOO_FEW_PREFIXES = (TOO_FEW, "There were too few requests")  # the second one is of an earlier version
INVALIDATES_LOAD = frozenset(
    (VerdictName.KERNEL_DROPS, VerdictName.CLIENT_BOUND, VerdictName.RATE_MISSED, VerdictName.NOISY)
)


def assess_figures(
    verdict: Verdict, evidence: Evidence, summary: Summary, figures: Iterable[Figure], main: str
) -> Verdict:
    """Return the verdict with the fitness of these figures.

    `main`: name of the run's main figure, which decides whether the run can be ranked.
    """
    every = _invalidates_all(evidence)
    load = every or _invalidates_load(verdict, evidence)
    cost = every or _invalidates_cost(evidence)
    fitness: dict[str, str | None] = {}
    for each in figures:
        own = _invalidates_group(each, summary)
        if each.family is Family.COST:
            fitness[str(each)] = cost
        elif each.family is Family.LATENCY:
            fitness[str(each)] = load or own or _invalidates_percentile(each, summary, evidence)
        elif each.family is Family.FAIRNESS:
            fitness[str(each)] = every or own or _invalidates_fairness(each, summary)
        else:
            fitness[str(each)] = load or own
    return replace(verdict, figure=main, fitness=fitness, rankable=main in fitness and fitness[main] is None)


def invalidate(verdict: Verdict, names: Iterable[str], reason: str) -> Verdict:
    """Return the verdict with these figures invalid for `reason`; a figure keeps an earlier reason."""
    invalid = set(names)
    fitness = dict(verdict.fitness)
    for name in invalid:
        fitness[name] = fitness.get(name) or reason
    return replace(verdict, fitness=fitness, rankable=verdict.rankable and verdict.figure not in invalid)


def lateness_effect_us(of: Figure, summary: Summary | None) -> float | None:
    """Return by how many µs late sends by the load generator change a percentile; None if unknown."""
    raw, corrected = (getattr(each, of.name, None) for each in of.times(summary))
    return abs(raw - corrected) if raw is not None and corrected is not None else None


def invalid_figures(verdict: Verdict) -> dict[str, str]:
    """Return each reason why figures of a run are invalid, with the titles of these figures.

    Percentiles of too few requests are omitted: pages show them as missing.
    """
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, reason in verdict.fitness.items():
        if reason and not reason.startswith(_TOO_FEW_PREFIXES):
            found[reason].append(figure(name).title)
    if len(found) == 1 and all(verdict.fitness.values()):
        return {reason: "every figure" for reason in found}
    return {reason: ", ".join(titles) for reason, titles in found.items()}


def invalid_reason(verdict: Verdict, name: str) -> str | None:
    """Return why a figure of a run is invalid; None if it is valid.

    Runs stored by an earlier version have one reason for all figures.
    """
    return verdict.fitness.get(name) if verdict.fitness else verdict.why_not


def main_figure(scenario: ScenarioView | None, plan: Plan) -> str:
    """Return the name of a run's main figure: the scenario's, or the default of its kind of load."""
    if scenario:
        named = figure(scenario.figure)
        group = next((each for each in plan.groups if each.name == named.group), plan)
        labels = {work.label for work in group.work}
        has_label = not named.label or (len(labels) > 1 and named.label in labels)
        if has_label and named.group in ("", *(group.name for group in plan.groups)):
            return scenario.figure
    if plan.executor == "find-capacity":
        return "kept_per_s"
    return "cpu_us" if plan.is_open else "achieved_per_s"


def _invalidates_all(e: Evidence) -> str | None:
    if e.died or e.lost:
        return e.died or e.lost
    total = e.requests + e.errors
    if not total:
        return NO_RESPONSES
    failed = e.errors / total
    reasons = (
        (
            failed > ERRORS_MAX,
            f"{format.share(failed)} of requests failed (limit {format.share(ERRORS_MAX)}).",
        ),
        (e.stopped, "The run was stopped early."),
        (e.stalled, "The plan pauses the server on purpose."),
        (e.traced, "Thread tracing was on, which adds CPU time to each request."),
        (e.swaps > 0, "The run was a hot swap: several engines served in turn."),
        (e.concurrent_runs > 0, "Other runs used the machine at the same time."),
    )
    return " ".join(sentence for applies, sentence in reasons if applies) or None


def _invalidates_cost(e: Evidence) -> str | None:
    if not e.is_open or e.rate_ratio is None or e.rate_ratio >= RATE_RATIO_MIN:
        return None
    reached = format.share(e.rate_ratio)
    return f"Only {reached} of the target rate was reached, so this is the cost at another rate."


def _invalidates_load(verdict: Verdict, e: Evidence) -> str | None:
    if verdict.name in INVALIDATES_LOAD:
        return f"{verdict.title}. {verdict.because[0]}"
    if e.placement == "shared" and (not e.is_open or e.closed_groups):
        used = e.generator_utilisation if e.generator_cpus is None else e.generator_cpus
        if used is None or used > SHARED_GENERATOR_MAX:
            return (
                "Server and load generator shared their CPUs, and the load generator used more than "
                f"{format.share(SHARED_GENERATOR_MAX)} of one."
            )
    return None


def _invalidates_group(of: Figure, summary: Summary) -> str | None:
    """Return why the figures of this figure's group are invalid; None for a figure of the main load."""
    if not of.group:
        return None
    group, name = of.load(summary), f"load group {of.group}"
    failed = sum(group.errors.values()) if group else 0
    if group is None or not group.requests + failed:
        return f"There were no responses to {name} in the measured window."
    if failed / (group.requests + failed) > ERRORS_MAX:
        share = format.share(failed / (group.requests + failed))
        return f"{share} of the requests of {name} failed (limit {format.share(ERRORS_MAX)})."
    if group.rate_ratio is not None and group.rate_ratio < RATE_RATIO_MIN:
        return f"Only {format.share(group.rate_ratio)} of the target rate of {name} was reached."
    return None


def _invalidates_fairness(of: Figure, summary: Summary) -> str | None:
    load = of.load(summary)
    mean = load.fairness.requests_mean if load and load.fairness else 0.0
    if mean >= FAIRNESS_REQUESTS_MIN:
        return None
    needed = f"Jain's index needs a mean of {FAIRNESS_REQUESTS_MIN}"
    return f"{TOO_FEW} ({format.decimal(mean)} per connection): {needed}."


def _invalidates_percentile(of: Figure, summary: Summary, e: Evidence) -> str | None:
    raw, corrected = of.times(summary)
    value = getattr(raw, of.name, None)
    if value is None:
        return f"{TOO_FEW} ({raw.count if raw else 0:,}): a percentile needs 10 samples above it."
    exact = getattr(corrected, of.name, None)
    if exact is None:
        return None
    gap = abs(value - exact)
    if gap <= max(LATENESS_SHARE_MAX * exact, LATENESS_MIN_US):
        return None
    reason = f"Late sends by the load generator account for {format.us(gap)} of {format.us(value)}."
    if e.is_open and e.placement == "split" and not e.realtime:
        reason += " Real-time priority reduces this; see docs/deploy.md."
    return reason
