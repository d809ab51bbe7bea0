"""Thresholds in k6's grammar: `p(99)<20ms`, `errors<0.1%`, `rate>5000`, `verdict==server_bound`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.errors import Invalid
from app.lab.verdict import TITLES
from app.lab.views import Ledger, Summary, ThresholdResult, Verdict
from app.load.histogram import ENOUGH_ABOVE, Percentiles

_GRAMMAR = re.compile(
    r"\s*(?P<what>(?:service_)?p\((?P<p>50|90|99|99\.9)\)|(?:service_)?(?:max|mean)|errors|rate|rate_ratio|"
    r"cpu_us_per_request|verdict)\s*(?P<op><=|>=|==|!=|<|>)\s*(?P<value>[a-z_]+|\d{1,12}(?:\.\d{1,6})?)\s*(?P<unit>us|ms|s|%)?\s*",
    re.ASCII,
)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_US = {"us": 1.0, "ms": 1e3, "s": 1e6}
_FIELDS = {"50": "p50_us", "90": "p90_us", "99": "p99_us", "99.9": "p999_us"}
EXAMPLE = "write it like p(99)<20ms, service_p(50)<2ms, errors<0.1%, rate>5000, rate_ratio>0.99, verdict==server_bound"


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
        found = _GRAMMAR.fullmatch(text)
        if not found:
            raise Invalid.field(pointer, f"{text!r} is not a threshold; {EXAMPLE}.")
        what, unit, raw = found["what"], found["unit"], found["value"]
        if what == "verdict":
            if raw not in TITLES or unit or found["op"] not in ("==", "!="):
                raise Invalid.field(pointer, f"{text!r}: a verdict is == or != one of {', '.join(TITLES)}.")
            return cls(text.strip(), what, found["op"], raw)
        is_time = "(" in what or what.endswith(("max", "mean"))
        allowed = tuple(_US) if is_time else ("%", None) if what in ("errors", "rate_ratio") else (None,)
        if not raw[0].isdigit():
            raise Invalid.field(pointer, f"{text!r}: {raw!r} is not a number; {EXAMPLE}.")
        value = float(raw)
        if unit not in allowed:
            raise Invalid.field(pointer, f"{text!r} needs {'a unit: us, ms or s' if is_time else 'another unit'}.")
        scale = _US[unit] if is_time else 0.01 if unit == "%" else 1.0
        return cls(text.strip(), what, found["op"], value * scale)

    @property
    def is_ceiling_of_latency(self) -> bool:
        """Whether it can be the objective of a search: more load never makes it hold again."""
        return self._is_latency and self.op in ("<", "<=")

    @property
    def samples(self) -> int:
        """Requests that a trial needs before this can be known: ten must lie above a percentile."""
        quantile = re.search(r"\((.+)\)", self.what)
        return round(ENOUGH_ABOVE / (1 - float(quantile[1]) / 100)) if quantile else 1

    @property
    def _is_latency(self) -> bool:
        return "(" in self.what or self.what.endswith(("max", "mean"))

    def check(self, summary: Summary | None, ledger: Ledger | None, verdict: Verdict | None) -> ThresholdResult:
        """Hold it against a result; what is not known breaches, for it cannot be said to hold."""
        seen = self._seen(summary, ledger, verdict)
        breached = seen is None or not _OPERATORS[self.op](seen, self.value)
        return ThresholdResult(self.text, self._words(seen), breached)

    def _seen(self, summary: Summary | None, ledger: Ledger | None, verdict: Verdict | None) -> float | str | None:
        if self.what == "verdict":
            return verdict.name if verdict else None
        if self.what == "cpu_us_per_request":
            return ledger.cpu_us if ledger else None
        if summary is None:
            return None
        if self.what == "errors":
            failed = sum(summary.errors.values()) + summary.dropped  # a request that was never sent got no answer
            return failed / (failed + summary.requests) if failed + summary.requests else None
        if self.what in ("rate", "rate_ratio"):
            return summary.achieved_per_s if self.what == "rate" else summary.rate_ratio
        return self._latency(summary.latency.service if self.what.startswith("service_") else summary.latency.response)

    def _latency(self, percentiles: Percentiles) -> float | None:
        name = self.what.removeprefix("service_")
        field = f"{name}_us" if name in ("max", "mean") else _FIELDS[name[2:-1]]
        seen: float | None = getattr(percentiles, field)
        return seen

    def _words(self, seen: float | str | None) -> str:
        if seen is None:
            return "not known"
        if isinstance(seen, str):
            return seen
        if self._is_latency:
            return f"{seen / 1000:,.1f} ms" if seen >= 10_000 else f"{seen / 1000:,.2f} ms"
        if self.what == "errors":
            return f"{100 * seen:.2f} %"
        return f"{seen:,.0f} /s" if self.what == "rate" else f"{seen:,.3f}"
