"""How well the open model keeps its schedule: rate error and send jitter, against one of our engines.

    python -m tests.bench.load_rate [--seconds 5] [--trials 3] [--connections 64] [--model reactor]

The engine runs on CPU 0, the generator on CPU 1. The rate error compares the requests sent in the measured
time with the rate of the plan; for Poisson spacing, with that schedule (5 s of which deviate by 1.4 % at
1,000 req/s). Jitter is the delay of a send after its scheduled time, if a connection was free. Prints only,
without an exit code.
"""

from __future__ import annotations

import argparse

from app.load.protocol import histogram
from app.load.protocol.outcome import Outcome
from tests.engines.driver import Variant

from .load_vs_wrk import cpu_us, ours
from .servers import engine, require

RATES = (1_000, 10_000, 30_000)
ERROR_PERCENT_MAX = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--model", default="reactor")
    args = parser.parse_args()
    require(cpus=2)
    worst = 0.0
    with engine(Variant(args.model)).serve() as serving:
        print(
            f"{args.model}, {args.connections} connections, {args.trials} trials of {args.seconds:g} s each"
        )
        print(
            "     rate spacing      error  jitter p50   p99   max   late  waited  "
            "service p50 p99 / response p50 p99"
        )
        for spacing in ("constant", "poisson"):
            for rate in RATES:
                plan = {"executor": "constant-arrival-rate", "rate_per_s": rate, "spacing": spacing}
                for _ in range(args.trials):
                    outcome = ours(serving.port, vus=args.connections, duration_s=args.seconds, **plan)
                    worst = max(worst, abs(error_percent(outcome, rate, spacing)))
                    show(outcome, rate, spacing)
    print(f"largest rate error: {worst:.3f} % (limit {ERROR_PERCENT_MAX} %)")


def error_percent(outcome: Outcome, rate: float, spacing: str) -> float:
    """Return the error of the rate while the schedule ran, in percent."""
    sent = sum(second.sent for second in outcome.seconds if second.phase == "measure")
    intended = rate * outcome.duration_s if spacing == "constant" else outcome.intended or 1
    return (sent / intended - 1) * 100


def show(outcome: Outcome, rate: float, spacing: str) -> None:
    late = histogram.decode(outcome.lateness)
    p50, p99 = (late.get_value_at_percentile(percent) for percent in (50, 99))
    service, response = (
        histogram.percentiles(histogram.decode(text))
        for text in (outcome.kinds[0].service, outcome.kinds[0].response)
    )
    print(
        f"  {rate:7,} {spacing:8} {error_percent(outcome, rate, spacing):+8.3f} % "
        f"{p50:8.0f} {p99:6.0f} {late.get_max_value():6.0f} µs {outcome.late:5,} {outcome.waited:6,}  "
        f"{service.p50_us:8.0f} {service.p99_us:5.0f} / {response.p50_us:5.0f} {response.p99_us:5.0f} µs   "
        f"utilisation {outcome.utilisation:.2f}, {cpu_us(outcome):.1f} CPU µs/req"
    )


if __name__ == "__main__":
    main()
