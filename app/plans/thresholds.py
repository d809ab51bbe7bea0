"""Thresholds in k6's grammar: `p(99)<20ms`, `med<2ms`, `errors<0.1%`, `rate>5000`, `verdict==server_bound`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import Invalid, shown
from app.load.protocol.histogram import SAMPLES_ABOVE_MIN
from app.schemas.states import VerdictName

LENGTH_MAX = 200  # characters of one, as the API has it
THRESHOLDS_MAX = 20  # of one run
# Possessive (`*+`) where two repeats could share a run of blanks: they would try every way to divide it.
_GRAMMAR = re.compile(
    r"\s*+(?P<what>(?:service_)?(?:p\((?P<p>\d{1,2}(?:\.\d{1,4})?)\)|avg|mean|med|min|max)|errors|rate|rate_ratio|"
    r"cpu_us_per_request|verdict)\s*+(?P<op><=|>=|==|!=|<|>)\s*+"
    r"(?P<value>[a-z_]++|\d{1,12}(?:\.\d{1,6})?)\s*+(?P<unit>us|ms|s|%)?\s*+",
    re.ASCII,
)
_TIMES = frozenset(("avg", "mean", "med", "min", "max"))
_US = {"us": 1.0, "ms": 1e3, "s": 1e6}
_SERVICE = "service_"
EXAMPLE = (
    "there are p(n) for any n above 0 and below 100, avg, med, min, max (each also with service_ before it, and with a "
    "unit: us, ms or s), errors, rate, rate_ratio, cpu_us_per_request and verdict; write it like p(99)<20ms, "
    "service_med<2ms, errors<0.1%, rate>5000, rate_ratio>0.99, verdict==server_bound"
)


@dataclass(frozen=True, slots=True)
class Threshold:
    """One condition on a result."""

    text: str
    what: str
    op: str
    value: float | str

    @classmethod
    def parse(cls, text: str, pointer: str = "/thresholds") -> Threshold:
        """Read one; raises Invalid with an example."""
        if len(text) > LENGTH_MAX:
            raise Invalid.field(pointer, f"A threshold has at most {LENGTH_MAX} characters.")
        found = _GRAMMAR.fullmatch(text)
        if not found or (found["p"] and not float(found["p"])):
            raise Invalid.field(pointer, f"{shown(text)} is not a threshold; {EXAMPLE}.")
        what, unit, raw = found["what"], found["unit"], found["value"]
        if what == "verdict":
            if raw not in set(VerdictName) or unit or found["op"] not in ("==", "!="):
                raise Invalid.field(
                    pointer, f"{shown(text)}: a verdict is == or != one of {', '.join(VerdictName)}."
                )
            return cls(text.strip(), what, found["op"], raw)
        is_time = what.removeprefix(_SERVICE) in _TIMES or "(" in what
        allowed = tuple(_US) if is_time else ("%", None) if what in ("errors", "rate_ratio") else (None,)
        if not raw[0].isdigit():
            raise Invalid.field(pointer, f"{shown(text)}: {shown(raw)} is not a number; {EXAMPLE}.")
        value = float(raw)
        if unit not in allowed:
            raise Invalid.field(
                pointer, f"{shown(text)} needs {'a unit: us, ms or s' if is_time else 'another unit'}."
            )
        scale = _US[unit] if is_time else 0.01 if unit == "%" else 1.0
        return cls(text.strip(), what, found["op"], value * scale)

    @property
    def is_ceiling_of_latency(self) -> bool:
        """Whether it can be the objective of a search: more load never makes it hold again."""
        return self.is_latency and self.op in ("<", "<=")

    @property
    def samples(self) -> int:
        """Requests that a trial needs before this can be known: ten must lie above a percentile."""
        quantile = self.quantile
        return 1 if quantile is None else round(SAMPLES_ABOVE_MIN / (1 - quantile))

    @property
    def statistic(self) -> str:
        """What of the latency: "p(99)", "avg" …"""
        return self.what.removeprefix(_SERVICE)

    @property
    def clock(self) -> str:
        """Of which times a latency is: "service" or "response"."""
        return "service" if self.what.startswith(_SERVICE) else "response"

    @property
    def is_latency(self) -> bool:
        return self.statistic in _TIMES or "(" in self.what

    @property
    def quantile(self) -> float | None:
        """Which percentile, as a share; None if it is none."""
        if self.statistic == "med":
            return 0.5
        return float(self.statistic[2:-1]) / 100 if "(" in self.statistic else None


def parse_all(texts: Sequence[str]) -> tuple[Threshold, ...]:
    """Read those of one run; raises Invalid for the first that is wrong, or if they are too many."""
    if len(texts) > THRESHOLDS_MAX:
        raise Invalid.field("/thresholds", f"A run has at most {THRESHOLDS_MAX} thresholds.")
    return tuple(Threshold.parse(text, f"/thresholds/{i}") for i, text in enumerate(texts))
