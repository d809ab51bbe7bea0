"""The noise of the machine during a run, from the evidence of that run."""

from __future__ import annotations

from typing import Any

from tests.app.driver import LabProcess

Evidence = dict[str, Any]
ROUNDS = 3


def rounds(lab: LabProcess, number: int = ROUNDS, **spec: Any) -> list[Any]:
    """Return the views of the same run, submitted several times."""
    return [lab.run(**spec) for _ in range(number)]


def name_of(run: Any) -> str:
    return str(run["verdict"]["name"])


def evidence_of(run: Any) -> Evidence:
    found: Evidence = run["verdict"]["evidence"]
    return found


def starved(run: Any) -> bool:
    """Return whether other processes took 5 % of the generator's CPU time, or delayed its sends."""
    evidence = evidence_of(run)
    return (evidence["generator_waited"] or 0) > 0.05 or (evidence["late_share"] or 0) > 0.01


def verdict_line(run: Any) -> str:
    """Return the verdict and its evidence on one line."""
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
    """Return whether all runs have this verdict.

    Runs in which the generator was starved may be client bound instead, except for one.
    """
    others = [run for run in runs if name_of(run) != verdict]
    return all(name_of(run) == "client_bound" and starved(run) for run in others) and len(others) < len(runs)
