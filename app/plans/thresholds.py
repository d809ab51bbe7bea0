"""Thresholds in k6's grammar: `p(99)<20ms`, `med<2ms`, `errors<0.1%`, `rate>5000`, `verdict==server_bound`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import Invalid, shown
from app.load.protocol import histogram
from app.load.protocol.histogram import ENOUGH_ABOVE
from app.load.protocol.outcome import Outcome
from app.results.summary import total
from app.results.verdict import TITLES
from app.schemas.result import Ledger, Summary, ThresholdResult, Verdict

LENGTH_MAX = 200  # characters of one, as the API has it
THRESHOLDS_MAX = 20  # of one run
# Possessive (`*+`) where two repeats could share a run of blanks: they would try every way to divide it.
_GRAMMAR = re.compile(
    r"\s*+(?P<what>(?:service_)?(?:p\((?P<p>\d{1,2}(?:\.\d{1,4})?)\)|avg|mean|med|min|max)|errors|rate|rate_ratio|"
    r"cpu_us_per_request|verdict)\s*+(?P<op><=|>=|==|!=|<|>)\s*+"
    r"(?P<value>[a-z_]++|\d{1,12}(?:\.\d{1,6})?)\s*+(?P<unit>us|ms|s|%)?\s*+",
    re.ASCII,
)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_TIMES = frozenset(("avg", "mean", "med", "min", "max"))
_US = {"us": 1.0, "ms": 1e3, "s": 1e6}
_FIELDS = {"avg": "mean_us", "mean": "mean_us", "max": "max_us"}
_KEPT = {0.5: "p50_us", 0.9: "p90_us", 0.99: "p99_us", 0.999: "p999_us"}  # percentiles that a summary has
_SERVICE = "service_"
PLACES_MAX = 9
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
            if raw not in TITLES or unit or found["op"] not in ("==", "!="):
                raise Invalid.field(
                    pointer, f"{shown(text)}: a verdict is == or != one of {', '.join(TITLES)}."
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
        return self._is_latency and self.op in ("<", "<=")

    @property
    def samples(self) -> int:
        """Requests that a trial needs before this can be known: ten must lie above a percentile."""
        quantile = self._quantile
        return 1 if quantile is None else round(ENOUGH_ABOVE / (1 - quantile))

    @property
    def _name(self) -> str:
        """What of the latency: "p(99)", "avg" …"""
        return self.what.removeprefix(_SERVICE)

    @property
    def _is_latency(self) -> bool:
        return self._name in _TIMES or "(" in self.what

    @property
    def _quantile(self) -> float | None:
        """Which percentile, as a share; None if it is none."""
        if self._name == "med":
            return 0.5
        return float(self._name[2:-1]) / 100 if "(" in self._name else None

    def check(
        self,
        summary: Summary | None,
        ledger: Ledger | None,
        verdict: Verdict | None,
        outcome: Outcome | None = None,
    ) -> ThresholdResult:
        """Hold it against a result; what is not known breaches, for it cannot be said to hold."""
        seen = self._seen(summary, ledger, verdict, outcome)
        breached = seen is None or not _OPERATORS[self.op](seen, self.value)
        return ThresholdResult(self.text, self._words(seen), breached)

    def _seen(
        self, summary: Summary | None, ledger: Ledger | None, verdict: Verdict | None, outcome: Outcome | None
    ) -> float | str | None:
        if self.what == "verdict":
            return verdict.name if verdict else None
        if self.what == "cpu_us_per_request":
            return ledger.cpu_us if ledger else None
        if summary is None:
            return None
        if self.what == "errors":
            failed = sum(summary.errors.values())  # of those never sent, rate_ratio tells
            return failed / (failed + summary.requests) if failed + summary.requests else None
        if self.what in ("rate", "rate_ratio"):
            return summary.achieved_per_s if self.what == "rate" else summary.rate_ratio
        clock = "service" if self.what.startswith(_SERVICE) else "response"
        quantile = self._quantile
        if field := _FIELDS.get(self._name) or _KEPT.get(quantile or 0.0):
            seen: float | None = getattr(getattr(summary.latency, clock), field)
            return seen
        times = total(outcome, clock) if outcome else None
        if times is None or not times.total_count:
            return None
        return histogram.lowest(times) if quantile is None else histogram.at(times, quantile)

    def _words(self, seen: float | str | None) -> str:
        """The value, in as many places as it takes that it is on the same side of the bound as it was."""
        if seen is None:
            return "not known"
        if isinstance(seen, str):
            return seen
        compare = _OPERATORS[self.op]
        scale, unit, usual = self._look(seen)
        for places in range(usual, PLACES_MAX):
            text = f"{seen / scale:.{places}f}"
            if compare(float(text) * scale, self.value) == compare(seen, self.value):
                break
        return f"{float(text):,.{places}f}{unit}"

    def _look(self, seen: float) -> tuple[float, str, int]:
        """By what it is divided, its unit, and how many places are usual."""
        if self._is_latency:
            return 1000.0, " ms", 1 if seen >= 10_000 else 2
        if self.what == "errors":
            return 0.01, " %", 2
        if self.what == "rate":
            return 1.0, " /s", 0 if seen >= 100 else 1
        return 1.0, "", 3


def parse_all(texts: Sequence[str]) -> tuple[Threshold, ...]:
    """Read those of one run; raises Invalid for the first that is wrong, or if they are too many."""
    if len(texts) > THRESHOLDS_MAX:
        raise Invalid.field("/thresholds", f"A run has at most {THRESHOLDS_MAX} thresholds.")
    return tuple(Threshold.parse(text, f"/thresholds/{i}") for i, text in enumerate(texts))
