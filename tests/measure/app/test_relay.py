"""A relay that hands over when its shares of the time are over, with connections that are kept."""

from __future__ import annotations

import pytest

from tests.app.driver import LabProcess, plan
from tests.measure.conftest import Report

RATE, CONNECTIONS = 300, 16


@pytest.mark.parametrize("churn", [False, True], ids=["keep-alive", "churn"])
def test_engines_take_over_from_each_other_and_no_request_is_lost(
    lab: LabProcess, report: Report, churn: bool
) -> None:
    """Noise: each connection is used every 53 ms, and one that is idle is kept for 100 ms in a drain: a request is lost
    only if the generator sends more than 47 ms late. How late it sent is reported, and excuses a loss; with a
    connection for each request nothing does. An engine has a second to start, where it takes 0.2 s."""
    load = plan(3.0, executor="constant-arrival-rate", rate_per_s=RATE, vus=CONNECTIONS, churn=churn)
    run = lab.run(model="reactor-pool", then=[{"model": "blocking"}, {"model": "reactor"}], plan=load)
    summary, evidence = run["summary"], run["verdict"]["evidence"]
    late_us = summary["send_jitter_p99_us"] or 0
    report(
        f"{summary['requests']} answered, lost {summary['errors']}, sent late p99 {late_us:.0f} µs, "
        f"{summary['reconnects']} reconnects, legs {[leg['requests'] for leg in run['legs']]}"
    )
    assert run["state"] == "finished", run["failure"]
    lost = sum(summary["errors"].values())
    assert lost == 0 or (not churn and late_us > 20_000 and lost <= 2 * CONNECTIONS)
    assert summary["requests"] + lost == RATE * load["duration_s"]
    assert [leg["model"] for leg in run["legs"]] == ["reactor-pool", "blocking", "reactor"]
    assert evidence["answered"] == evidence["counted"]
    assert [mark["text"] for mark in run["marks"]].count("warm-up ends") == 1
