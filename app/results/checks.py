"""The checks that a verdict lists as its evidence: value, limit, and whether the limit was met. Pure."""

from __future__ import annotations

from app import format
from app.results.evidence import Evidence
from app.results.limits import (
    CLOSED_SATURATED_MIN,
    ERRORS_MAX,
    GENERATOR_CPU_MAX,
    GENERATOR_WAIT_MAX,
    LITTLE_ERROR_MAX,
    LITTLE_REQUESTS_MIN,
    OPEN_SATURATED_MIN,
    RATE_RATIO_MIN,
)
from app.schemas.result import Check

NOT_AVAILABLE = "not available"  # nothing counts the requests in an external server


def busiest(evidence: Evidence) -> tuple[str, float] | None:
    """Return the role with the highest utilisation, or "CPU", and that utilisation; None if none is known."""
    candidates = dict(evidence.occupancy)
    if evidence.engine_cpu_share is not None:
        candidates["CPU"] = evidence.engine_cpu_share
    return max(candidates.items(), key=lambda item: item[1], default=None)


def utilisation_name(name: str) -> str:
    """Return "reactor utilisation", "worker utilisation of prefork-1" or "server CPU utilisation"."""
    if name == "CPU":
        return "server CPU utilisation"
    if name.endswith(" CPU"):  # of processes of an external server
        return f"CPU utilisation of the {name.removesuffix(' CPU')}"
    role, _, engine = name.partition(" of ")
    return f"{role} utilisation of {engine}" if engine else f"{role} utilisation"


def capitalised(text: str) -> str:
    """Return text with a capital first letter; the rest is unchanged."""
    return text[:1].upper() + text[1:]


def checks(e: Evidence) -> tuple[Check, ...]:
    """Return the checks in the order of the rules; `ok` is None where a value is unknown or has no limit."""
    total = e.requests + e.errors
    errors_ok = total > 0 and e.errors / total <= ERRORS_MAX
    drops_ok = None if e.listen_drops is None or e.other_engines else e.listen_drops == 0
    drops_limit = "shared with other engines" if e.other_engines else "must be 0"
    found = [
        Check("Errors", f"{e.errors:,} of {total:,}", _limit(ERRORS_MAX), errors_ok),
        Check("Connections dropped by the kernel", format.count(e.listen_drops), drops_limit, drops_ok),
        _generator_check(e),
        _at_most("Load-generator CPU starvation", e.generator_waited, GENERATOR_WAIT_MAX),
    ]
    if e.is_open:
        found += _rate_checks(e)
    found += [_count_check(e), _little_check(e), _utilisation_check(e)]
    if e.cores:
        cores = ", ".join(f"CPU {cpu}: {100 * busy:.0f} %" for cpu, busy in e.cores.items())
        found.append(Check("Per-core utilisation", cores, "all processes", None))
    return tuple(found)


def _generator_check(e: Evidence) -> Check:
    """Return the check of the generator's CPU: what it used plus what it waited for, as in the verdict."""
    used = e.generator_utilisation
    ok = None if used is None else used + (e.generator_waited or 0.0) <= GENERATOR_CPU_MAX
    limit = f"{_limit(GENERATOR_CPU_MAX)} with starvation"
    return Check("Load-generator CPU utilisation", format.share(used), limit, ok)


def _rate_checks(e: Evidence) -> list[Check]:
    ok = None if e.rate_ratio is None else e.rate_ratio >= RATE_RATIO_MIN
    late = "over 1 ms behind schedule; see each percentile"
    return [
        Check("Late starts", format.share(e.late_share), late, None),
        Check(
            "Achieved / offered", format.share(e.rate_ratio), f"at least {format.share(RATE_RATIO_MIN)}", ok
        ),
    ]


def _count_check(e: Evidence) -> Check:
    server, client = e.server_requests, e.client_responses
    if server is None:
        return Check("Server and client request counts match", NOT_AVAILABLE, "an external server", None)
    seen = f"{server:,}" if server == client else f"server {server:,}, client {client:,}"
    if e.errors or e.died or e.stopped:
        return Check("Server and client request counts match", seen, "may differ after failures", None)
    return Check("Server and client request counts match", seen, "must be equal", server == client)


def _little_check(e: Evidence) -> Check:
    known = e.little_residual is not None and e.requests >= LITTLE_REQUESTS_MIN
    return _at_most("Little's-law error", abs(e.little_residual or 0.0) if known else None, LITTLE_ERROR_MAX)


def _utilisation_check(e: Evidence) -> Check:
    limit = f"saturated above {format.share(OPEN_SATURATED_MIN if e.is_open else CLOSED_SATURATED_MIN)}"
    if (found := busiest(e)) is None:
        return Check("Server utilisation", format.DASH, limit, None)
    name, share = found
    # The samples of a hot swap are those of all its engines together, so they are not shown for one.
    samples = f" (n = {e.samples:,} samples)" if name in e.occupancy and not e.swaps else ""
    return Check(capitalised(utilisation_name(name)), f"{format.share(share)}{samples}", limit, True)


def _at_most(what: str, value: float | None, limit: float) -> Check:
    return Check(what, format.share(value), _limit(limit), None if value is None else value <= limit)


def _limit(share: float) -> str:
    return f"at most {format.share(share)}"
