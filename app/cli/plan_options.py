"""The flags of a plan, for every command that offers a load: one flag a field."""

from __future__ import annotations

import argparse
from typing import Any

from app.load.protocol.plan import EXECUTORS, PLACEMENTS, SPACINGS
from app.plans.text import parse_stages, parse_work

# Flag, field of the plan, what argparse is told. What is not given stays the scenario's, or the default.
_FLAGS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("--executor", "executor", {"choices": EXECUTORS}),
    ("--vus", "vus", {"type": int, "metavar": "N", "help": "connections"}),
    (
        "--rate",
        "rate_per_s",
        {"type": float, "metavar": "R", "help": "requests a second, of the open executors"},
    ),
    ("--spacing", "spacing", {"choices": SPACINGS}),
    (
        "--stage",
        "stages",
        {
            "action": "append",
            "metavar": "10s:2000",
            "help": "of a ramp: in 10 s in a straight line to 2000; repeatable",
        },
    ),
    ("--objective", "objective", {"metavar": "T", "help": "of find-capacity, such as 'p(99)<20ms'"}),
    ("--duration", "duration_s", {"type": float, "metavar": "S", "help": "measured seconds"}),
    ("--warmup", "warmup_s", {"type": float, "metavar": "S", "help": "seconds before them"}),
    ("--work", "work", {"help": "such as '95%% plaintext, 5%% sleep 50ms'"}),
    (
        "--churn",
        "churn",
        {"action": "store_true", "default": None, "help": "a new connection for each request"},
    ),
    (
        "--pipeline",
        "pipeline",
        {"type": int, "metavar": "N", "help": "requests in flight on each connection"},
    ),
    (
        "--think",
        "think_time_ms",
        {"type": float, "metavar": "MS", "help": "between an answer and the next request"},
    ),
    (
        "--timeout",
        "timeout_s",
        {"type": float, "metavar": "S", "help": "seconds after which a request is given up"},
    ),
    (
        "--idle",
        "idle_connections",
        {"type": int, "metavar": "N", "help": "idle connections beside the active ones"},
    ),
    ("--slow-readers", "slow_readers", {"type": int, "metavar": "N", "help": "connections that hardly read"}),
    (
        "--slow-writers",
        "slow_writers",
        {"type": int, "metavar": "N", "help": "connections that hardly write"},
    ),
    (
        "--stall",
        "stall_ms",
        {"type": int, "metavar": "MS", "help": "stop the engine for so long in the middle"},
    ),
    ("--shards", "shards", {"type": int, "metavar": "N", "help": "processes of the load generator"}),
    ("--placement", "placement", {"choices": PLACEMENTS}),
    (
        "--trace",
        "trace",
        {
            "action": "store_true",
            "default": None,
            "help": "record what the threads do; costs, and is not ranked",
        },
    ),
)


def add(parser: argparse.ArgumentParser) -> None:
    for flag, field, how in _FLAGS:
        parser.add_argument(flag, dest=field, **how)


def plan_of(asked: argparse.Namespace) -> dict[str, Any]:
    """The fields that were given; raises Invalid for a work mix or a stage that cannot be read."""
    given = {field: value for _, field, _ in _FLAGS if (value := getattr(asked, field)) is not None}
    if "work" in given:
        given["work"] = parse_work(given["work"])
    if "stages" in given:
        given["stages"] = [stage for text in given["stages"] for stage in parse_stages(text)]
    return given
