"""A history with everything that result pages show, written to the store without running a load.

Run 1 is a closed load with a breached threshold, run 2 an open load with two work kinds, run 3 an open load
with a stall. Comparison 1 has runs 4 and 5 as its trials. Tuning 1 has an answer and a void run. The claims
of ANSWERED have the answers of the reference machine. Summaries, series, notes and rankings are computed by
the code of the lab from synthetic histograms, so that the figures of a page are consistent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from app.comparisons.aggregate import compute_result, measured_trial, merged_histograms, usable_trials
from app.comparisons.entries import LETTERS
from app.experiments.reference import reference
from app.load.protocol import histogram
from app.load.protocol.connection_requests import ConnectionRequests
from app.load.protocol.outcome import KindOutcome, Outcome, Second
from app.load.protocol.plan import LoadGroup, Plan, Work
from app.plans.describe import describe, load_title
from app.plans.thresholds import Threshold
from app.results.notes import notes
from app.results.observation import SeriesPoint
from app.results.series import series
from app.results.summary import percentile_curve, summarise
from app.results.threshold_check import check
from app.schemas.comparison import ComparisonEntry, ComparisonView
from app.schemas.result import Check, GeneratorCost, Ledger, Verdict
from app.schemas.run import RunView, TimelineEvent
from app.schemas.states import VerdictName
from app.store.comparisons import ComparisonStore
from app.store.experiments import ExperimentStore
from app.store.runs import RunStore
from tests.app.stored_runs import VIEW, stored_run
from tests.app.tunings.stored_tunings import keep_tunings, tuning

ANSWERED = ("reactor-stalls", "proactor-efficiency", "blocking-thread-per-connection")  # claims
RUNS = 5  # that the history begins with
STARTED_NS = 10**12
STALL_MS = 300
STEPS = 40  # distinct latencies of a histogram: enough for a curve, and cheap to encode
CHECKS = (
    Check("Busiest role", "reactor 97 %", "95 % or more", True),
    Check("Load-generator CPU utilisation", "52 % of a CPU", "below 80 %", True),
    Check("Listen drops", "not known", "0", None),
)
LEDGER = Ledger(
    cpu_us=21.5,
    cpu_user_us=9.25,
    cpu_system_us=12.25,
    io_calls=2.01,
    syscalls=None,
    voluntary_switches=0.5,
    involuntary_switches=0.012,
    run_queue_us=3.4,
    wakeups=0.75,
    queue_wait_us=None,
    threads_peak=5,
    rss_bytes_peak=31_457_280,
    anon_bytes_per_connection=2048.0,
    kernel_stack_bytes=81_920,
    generator=GeneratorCost(cpu_us=14.5, utilisation=0.52),
)
MIX = (Work("plaintext", 9), Work("sleep", 1, {"ms": 2}))


@dataclass(frozen=True, slots=True)
class Past:
    """A run that has ended, as the store keeps it."""

    view: RunView
    outcome: Outcome
    series: Mapping[str, Any]


def keep_history(data_dir: Path) -> None:
    """Write the history to a data directory in which no lab has run yet."""
    url = f"sqlite:///{data_dir / 'threadlab.sqlite3'}"
    with closing(RunStore(url)) as store:
        trials = [keep_past(store, each) for each in _runs()][-2:]
    with closing(ComparisonStore(url)) as comparisons:
        keep_comparison(comparisons, trials)
    keep_tunings(data_dir, tuning())
    with closing(ExperimentStore(url)) as experiments:
        experiments.add_all([reference().experiments[id] for id in ANSWERED])


def keep_past(store: RunStore, past: Past) -> Past:
    view = store.add(past.view)
    store.save_ended(view, past.outcome.to_json(), dict(past.series))
    return replace(past, view=view)


def _runs() -> Sequence[Past]:
    closed = Plan(vus=8, duration_s=4.0, warmup_s=2.0)
    rate = Plan(executor="constant-arrival-rate", vus=8, rate_per_s=2000.0, duration_s=4.0, warmup_s=1.0)
    new = LoadGroup("new", vus=4, rate_per_s=100.0, churn=True)
    stalled = replace(rate, rate_per_s=200.0, stall_ms=STALL_MS, groups=(new, LoadGroup("mix", work=MIX)))
    return (
        made_run(closed, 400, label="a label", thresholds=("p(99)<1us", "errors<1%")),
        made_run(replace(rate, work=MIX), 250, model="reactor-pool", model_title="Reactor pool"),
        made_run(stalled, 300, title="500 ms server stall"),
        made_run(rate, 300, comparison=1, cpu_us=20.5),
        made_run(rate, 350, comparison=1, cpu_us=31.0, model="blocking", model_title="Blocking"),
    )


def made_run(
    plan: Plan, service_us: int, *, thresholds: Sequence[str] = (), cpu_us: float = 21.5, **changes: Any
) -> Past:
    outcome = _outcome(plan, service_us)
    summary, ledger = summarise(outcome), replace(LEDGER, cpu_us=cpu_us)
    verdict = Verdict(
        VerdictName.SERVER_BOUND,
        "Server bound",
        True,
        ("The reactor thread was saturated.",),
        CHECKS,
        {},
    )
    marks = [TimelineEvent(plan.warmup_s, "warm-up ends")]
    if plan.stall_ms:
        because = ("The engine was stalled on purpose.",)
        verdict = Verdict(VerdictName.UNSATURATED, "Unsaturated", False, because, CHECKS, {})
        marks.append(
            TimelineEvent(plan.warmup_s + plan.duration_s / 2, f"server paused for {plan.stall_ms} ms")
        )
    view = stored_run(
        **{
            "title": load_title(plan),
            "scenario": None,
            "plan": plan.to_json(),
            "plan_text": describe(plan),
            "summary": summary,
            "ledger": ledger,
            "verdict": verdict,
            "marks": tuple(marks),
            "notes": notes(plan, outcome, summary, plan.stall_ms * 1_000_000),
            "thresholds": tuple(
                check(Threshold.parse(text), summary, ledger, verdict) for text in thresholds
            ),
            **changes,
        }
    )
    return Past(view, outcome, series(outcome, _points(outcome), STARTED_NS))


def _outcome(plan: Plan, service_us: int) -> Outcome:
    """Return an outcome of the load generator: values vary per second, an open load has queueing delay."""
    rate = int(plan.rate_per_s or 2400)
    waiting_us = service_us // 2 if plan.is_open else 0
    lengths = (("warmup", int(plan.warmup_s)), ("measure", int(plan.duration_s)))
    phases = [phase for phase, seconds in lengths for _ in range(seconds)]
    rows = []
    for t, phase in enumerate(phases):
        count, slower = rate - 7 * (t % 3), service_us + 30 * (t % 3)
        service, response = _histogram(slower, count), _histogram(slower + waiting_us, count)
        intended = rate if plan.is_open else None
        rows.append(Second(float(t), 1.0, phase, intended, count, count, t % 2, plan.vus, service, response))
    measured_rows = [row for row in rows if row.phase == "measure"]
    requests = sum(row.requests for row in measured_rows)
    kinds = tuple(
        KindOutcome(
            work.label,
            work.kind,
            each := requests * work.weight // sum(w.weight for w in plan.work),
            {},
            _histogram(at := service_us + 2000 * i, each),
            _histogram(at + waiting_us, each),
        )
        for i, work in enumerate(plan.work)
    )
    measured_from_ns = STARTED_NS + int(plan.warmup_s * 1e9)
    return Outcome(
        started_at=VIEW["created_at"],
        measured_from_ns=measured_from_ns,
        measured_to_ns=measured_from_ns + int(plan.duration_s * 1e9),
        duration_s=plan.duration_s,
        stopped=False,
        requests=requests,
        errors={},
        intended=rate * len(measured_rows) if plan.is_open else None,
        sent=requests,
        dropped=0,
        late=0,
        waited=0,
        reconnects=0,
        bytes_in=requests * 150,
        bytes_out=requests * 40,
        connections_peak=plan.vus,
        idle_connections_held=0,
        cpu_user_s=1.2,
        cpu_system_s=0.9,
        wall_s=plan.duration_s,
        send_jitter_p99_us=None,
        in_flight_ns=requests * service_us * 1000,
        kinds=kinds,
        seconds=tuple(rows),
        per_connection=None if plan.churn else ConnectionRequests.of([requests // plan.vus] * plan.vus),
        groups={group.name: _outcome(plan.group_load(group), 2 * service_us) for group in plan.groups},
    )


@cache
def _histogram(us: int, count: int) -> str:
    """So many latencies from `us` to three times that, most of them short, encoded."""
    share, rest = divmod(count, STEPS)
    spread = [(us + int(2 * us * (step / STEPS) ** 6), share) for step in range(STEPS)]
    return histogram.encode(histogram.from_counts([*spread, (3 * us, rest)] if rest else spread))


def _points(outcome: Outcome) -> list[SeriesPoint]:
    """The engine at the end of each second."""
    at = [STARTED_NS + int((row.t + 0.9) * 1e9) for row in outcome.seconds]
    return [
        SeriesPoint(
            each - 10**9,
            each,
            outcome.connections_peak - i % 2,
            5 + i % 2,
            61.25 + 3.5 * i,
            30_000_000,
            i % 4,
        )
        for i, each in enumerate(at)
    ]


def keep_comparison(store: ComparisonStore, runs: Sequence[Past], trials: int = 1) -> None:
    """Keep a comparison of these runs: the trials of its first entry, then those of the second …"""
    firsts = runs[::trials]
    entries = tuple(
        ComparisonEntry(letter, past.view.model_title, past.view.model, {})
        for letter, past in zip(LETTERS, firsts, strict=False)
    )
    ended = [
        measured_trial("cpu_us", i // trials, i % trials + 1, past.view, past.outcome)
        for i, past in enumerate(runs)
    ]
    view = {
        "id": 1,
        "state": "finished",
        "progress": 1.0,
        "left_s": None,
        "label": None,
        "view": "equal-rate",
        "title": "Fixed rate: 10,000 req/s",
        "scenario": "equal-rate",
        "entries": entries,
        "trials": trials,
        "plan": runs[0].view.plan,
        "plan_text": runs[0].view.plan_text,
        "thresholds": (),
        "environment": VIEW["environment"],
        "runs": tuple(each.trial for each in ended),
        "current": None,
        "result": compute_result("cpu_us", entries, ended),
        "failure": None,
        "created_at": VIEW["created_at"],
        "finished_at": VIEW["finished_at"],
    }
    [kept] = store.add_all([TypeAdapter(ComparisonView).validate_python(view)])
    store.save_result(
        kept,
        {
            "entries": [
                percentile_curve(*merged_histograms(usable_trials(ended, i))) for i in range(len(entries))
            ]
        },
    )
