"""Run every scenario on every model, and print one line for each.

    python -m tests.bench.scenarios [--seconds 5] [--scenario churn] [--model reactor]

Rates and stages are those of the scenario, durations are reduced to `--seconds`. One minute per scenario by
default.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.errors import LabError
from app.format import count, decimal, rate, size, us
from app.lab import Lab
from app.plans.scenarios import SCENARIOS
from app.runs.request import RunRequest
from app.schemas.run import RunView
from app.settings import Settings


def shortened(name: str, seconds: float) -> dict[str, Any]:
    plan = SCENARIOS[name].plan
    if plan["stages"]:
        return {
            "stages": [{**stage, "duration_s": seconds / len(plan["stages"])} for stage in plan["stages"]]
        }
    return {"duration_s": min(seconds, plan["duration_s"]), "warmup_s": min(1.0, plan["warmup_s"])}


def line(view: RunView) -> str:
    verdict = view.verdict.title if view.verdict else view.failure or view.state
    if view.summary is None:
        return f"  {view.model:14} {verdict}"
    summary, ledger = view.summary, view.ledger
    capacity = f"  sustains {rate(view.capacity.kept_per_s)}/s" if view.capacity else ""
    response, service = summary.latency.response, summary.latency.service
    cells = (
        f"{rate(summary.achieved_per_s):>8}",
        f"{us(response.p50_us):>9}",
        f"{us(response.p99_us):>9}",
        f"{us(service.p99_us):>9}",
        f"{count(sum(summary.errors.values())):>7}",
        f"{decimal(ledger.cpu_us if ledger else None):>8}",
        f"{decimal(ledger.io_calls if ledger else None, 2):>7}",
        f"{count(ledger.threads_peak if ledger else None):>7}",
        f"{size(ledger.rss_bytes_peak if ledger else None):>9}",
    )
    return f"  {view.model:14}{' '.join(cells)}  {verdict}{capacity}"


async def run_all(args: argparse.Namespace) -> None:
    with TemporaryDirectory() as folder:
        async with Lab.open(Settings(data_dir=Path(folder))) as lab:
            models = [view.name for view in lab.models.views.values() if view.available]
            for name in (name for name in SCENARIOS if args.scenario in (None, name)):
                print(f"{name}: {SCENARIOS[name].watch}")
                for model in (model for model in models if args.model in (None, model)):
                    try:
                        view = await lab.runs.submit(
                            RunRequest(model=model, scenario=name, plan=shortened(name, args.seconds))
                        )
                        print(line(await lab.runs.finished(view.id)), flush=True)
                    except LabError as error:
                        print(f"  {model:14} {error.detail}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--scenario", choices=list(SCENARIOS))
    parser.add_argument("--model")
    args = parser.parse_args()
    columns = "    rate/s       p50       p99   p99 svc  errors   CPU µs I/O/req threads       RSS  verdict"
    print(f"{args.seconds:g} s each; p50 and p99 are response times; CPU and I/O calls are per request")
    print(f"{'':16}{columns}")
    asyncio.run(run_all(args))


if __name__ == "__main__":
    main()
