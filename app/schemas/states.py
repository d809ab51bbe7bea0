"""The states that engines, runs and comparisons pass through, and the names of verdicts. Their values are the API's."""

from __future__ import annotations

from enum import StrEnum


class VerdictName(StrEnum):
    """Who was the limit of a run."""

    SERVER_BOUND = "server_bound"
    CLIENT_BOUND = "client_bound"
    UNSATURATED = "unsaturated"
    RATE_MISSED = "rate_missed"
    ERRORS_DOMINATE = "errors_dominate"
    KERNEL_DROPS = "kernel_drops"
    NOISY = "noisy"
    DEGRADED = "degraded"
