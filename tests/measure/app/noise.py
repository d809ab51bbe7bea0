"""What a result of a run tells about the machine's noise during that same run."""

from __future__ import annotations

from typing import Any

from tests.app.driver import LabProcess

Evidence = dict[str, Any]
ROUNDS = 3


def rounds(lab: LabProcess, number: int = ROUNDS, **spec: Any) -> list[Any]:
    """The same run several times, always as many."""
    return [lab.run(**spec) for _ in range(number)]


def name_of(run: Any) -> str:
    return str(run["verdict"]["name"])


def evidence_of(run: Any) -> Evidence:
    found: Evidence = run["verdict"]["evidence"]
    return found


def starved(run: Any) -> bool:
    """Whether others took the load generator's CPU for 5 % of this run's time or more, or made it send late."""
    evidence = evidence_of(run)
    return (evidence["generator_waited"] or 0) > 0.05 or (evidence["late_share"] or 0) > 0.01


def told(run: Any) -> str:
    """The verdict and the numbers that it rests on, on one line."""
    evidence = evidence_of(run)
    names = (
        "generator_utilisation",
        "generator_waited",
        "late_share",
        "rate_ratio",
        "engine_cpu_share",
        "little_residual",
        "listen_drops",
    )
    shown = {name: evidence[name] for name in names if evidence[name] is not None}
    shown |= {name: share for name, share in evidence.items() if name.startswith("occupied_")}
    return f"{name_of(run)}: " + ", ".join(f"{name} {value:.3g}" for name, value in shown.items())


def is_verdict(runs: list[Any], verdict: str) -> bool:
    """Whether each of some runs came to this verdict, except those in which the generator was starved: they may be
    client bound instead, which is right then. At least one must not be."""
    others = [run for run in runs if name_of(run) != verdict]
    return all(name_of(run) == "client_bound" and starved(run) for run in others) and len(others) < len(runs)
