"""Thresholds in the grammar of k6: `p(99)<20ms`, `errors<0.1%`, `rate>5000`, `verdict==server_bound`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import Invalid, shown
from app.load.protocol.histogram import SAMPLES_ABOVE_MIN
from app.schemas.states import VerdictName

LENGTH_MAX = 200  # characters per threshold; the API schema has the same limit
THRESHOLDS_MAX = 20  # per run
# Possessive quantifiers (`*+`): otherwise two repeats could share a run of blanks, in quadratic time.
_GRAMMAR = re.compile(
    r"\s*+(?P<what>(?:service_)?(?:p\((?P<p>\d{1,2}(?:\.\d{1,4})?)\)|avg|mean|med|min|max)|errors|rate|rate_ratio|"
    r"cpu_us_per_request|verdict)\s*+(?P<op><=|>=|==|!=|<|>)\s*+"
    r"(?P<value>[a-z_]++|\d{1,12}(?:\.\d{1,6})?)\s*+(?P<unit>us|ms|s|%)?\s*+",
    re.ASCII,
)
_TIMES = frozenset(("avg", "mean", "med", "min", "max"))
_US = {"us": 1.0, "ms": 1e3, "s": 1e6}
_SERVICE = "service_"
GRAMMAR = (
    "Latency, in us, ms or s: p(n) with n between 0 and 100, avg, med, min, max, each also with the prefix "
    "service_. Others: errors, rate, rate_ratio, cpu_us_per_request, verdict. Examples: p(99)<20ms, "
    "service_med<2ms, errors<0.1%, rate>5000, rate_ratio>0.99, verdict==server_bound."
)


@dataclass(frozen=True, slots=True)
class Threshold:
    """One condition on a result."""

    text: str  # as written
    what: str  # the compared quantity: "p(99)", "service_med", "errors", "verdict" …
    op: str  # < <= > >= == !=
    value: float | str  # µs, a share from 0 to 1, req/s, or the name of a verdict

    @classmethod
    def parse(cls, text: str, pointer: str = "/thresholds") -> Threshold:
        """Return the parsed threshold. Raises Invalid, at the JSON pointer `pointer`, with the grammar."""
        if len(text) > LENGTH_MAX:
            raise Invalid.field(pointer, f"A threshold has at most {LENGTH_MAX} characters.")
        found = _GRAMMAR.fullmatch(text)
        if not found or (found["p"] and not float(found["p"])):
            raise Invalid.field(pointer, f"{shown(text)} is not a threshold. {GRAMMAR}")
        what, unit, raw = found["what"], found["unit"], found["value"]
        if what == "verdict":
            if raw not in set(VerdictName) or unit or found["op"] not in ("==", "!="):
                raise Invalid.field(
                    pointer,
                    f"{shown(text)}: compare verdict by == or != with one of {', '.join(VerdictName)}.",
                )
            return cls(text.strip(), what, found["op"], raw)
        is_time = what.removeprefix(_SERVICE) in _TIMES or "(" in what
        allowed = tuple(_US) if is_time else ("%", None) if what in ("errors", "rate_ratio") else (None,)
        if not raw[0].isdigit():
            raise Invalid.field(pointer, f"{shown(text)}: {shown(raw)} is not a number. {GRAMMAR}")
        value = float(raw)
        if unit not in allowed:
            needed = "a unit: us, ms or s" if is_time else "% or no unit" if "%" in allowed else "no unit"
            raise Invalid.field(pointer, f"{shown(text)} needs {needed}.")
        scale = _US[unit] if is_time else 0.01 if unit == "%" else 1.0
        return cls(text.strip(), what, found["op"], value * scale)

    @property
    def is_latency_limit(self) -> bool:
        """Whether it can be the objective of a capacity search: more load never makes a breached one hold."""
        return self.is_latency and self.op in ("<", "<=")

    @property
    def samples_needed(self) -> int:
        """Requests that a trial needs before the value is known: ten samples must lie above a percentile."""
        quantile = self.quantile
        return 1 if quantile is None else round(SAMPLES_ABOVE_MIN / (1 - quantile))

    @property
    def statistic(self) -> str:
        """The statistic without the prefix of the clock: "p(99)", "avg" …"""
        return self.what.removeprefix(_SERVICE)

    @property
    def clock(self) -> str:
        """The latency that is meant: "service" or "response"."""
        return "service" if self.what.startswith(_SERVICE) else "response"

    @property
    def is_latency(self) -> bool:
        return self.statistic in _TIMES or "(" in self.what

    @property
    def quantile(self) -> float | None:
        """The percentile as a share from 0 to 1; None: not a percentile."""
        if self.statistic == "med":
            return 0.5
        return float(self.statistic[2:-1]) / 100 if "(" in self.statistic else None


def parse_thresholds(texts: Sequence[str]) -> tuple[Threshold, ...]:
    """Return the thresholds of a run. Raises Invalid for the first wrong one, or if there are too many."""
    if len(texts) > THRESHOLDS_MAX:
        raise Invalid.field("/thresholds", f"A run has at most {THRESHOLDS_MAX} thresholds.")
    return tuple(Threshold.parse(text, f"/thresholds/{i}") for i, text in enumerate(texts))
