"""The size of a pool by the formula N · (1 + W/C), from what a tuning has measured. Pure.

Source: B. Goetz, Java Concurrency in Practice (2006), section 8.2. It is about the threads that keep the CPUs
busy, not about an objective, so it is shown beside the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from app.schemas.tuning import PoolFormula, TuningTrial

POOL_UNITS = ("threads", "processes")
THREADS, PROCESSES = "threads", "workers"  # knobs of an external server whose processes have a pool each


def pool_formula(
    plan: Mapping[str, Any], unit: str, pools: int, trials: Sequence[TuningTrial]
) -> PoolFormula | None:
    """Return the formula; None unless all requests sleep and their CPU time is known.

    `plan`: JSON. `unit`: of the knob. `pools`: processes that have a pool each. `trials`: of the best value.
    """
    work = plan.get("work") or []
    costs = [each.cpu_us for each in trials if each.why_not is None and each.cpu_us]
    cpus = [each.cpus for each in trials if each.cpus]
    if unit not in POOL_UNITS or len(work) != 1 or work[0]["kind"] != "sleep" or not costs or not cpus:
        return None
    wait_us, compute_us, number = 1000.0 * work[0]["params"]["ms"], median(costs), cpus[-1]
    threads = number * (1 + wait_us / compute_us)
    return PoolFormula(number, wait_us, compute_us, threads, pools, threads / pools)


def pools_of(knob: str, knobs: Mapping[str, int | str]) -> int:
    """Return the number of processes that have a pool of `knob` threads each. `knobs`: with the defaults."""
    processes = knobs.get(PROCESSES)
    return processes if knob == THREADS and isinstance(processes, int) and processes > 0 else 1
