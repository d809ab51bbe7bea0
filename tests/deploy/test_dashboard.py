"""The Grafana dashboard queries only metrics and labels that the lab exports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from engines.catalogue import model_modules

from .files import DEPLOY, ROOT, Json, compose, read_json, read_yaml

BOARD = DEPLOY / "grafana" / "dashboards" / "threadlab.json"
KEYWORDS = {
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "and",
    "or",
    "unless",
    "bool",
    "offset",
    "le",
}
PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes"}  # from prometheus-client


def documented() -> dict[str, tuple[str, set[str]]]:
    """Return the metrics of docs/metrics.md: name → type, labels."""
    rows = re.findall(
        r"^\| `(threadlab_\w+)` \| (\w+) \| ([^|]*)\|", (ROOT / "docs" / "metrics.md").read_text(), re.M
    )
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def series() -> dict[str, set[str]]:
    """Return the series that Prometheus makes of them: name → labels."""
    found: dict[str, set[str]] = {name: set() for name in PROCESS}
    for name, (kind, labels) in documented().items():
        if kind == "histogram":
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
        else:
            found[name] = labels
    return found


def panels(board: Json) -> Iterator[Json]:
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", ())


def queries() -> list[str]:
    return sorted(
        {target["expr"] for panel in panels(read_json(BOARD)) for target in panel.get("targets", ())}
    )


def metrics_of(query: str) -> set[str]:
    """Return the metrics in a PromQL query: its words without selectors, ranges, labels and keywords."""
    rest = re.sub(r'"[^"]*"', "", query)
    rest = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", rest)
    rest = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", rest)
    words = re.findall(r"\b([a-zA-Z_:][\w:]*)\b(?!\s*\()", rest)
    return set(words) - KEYWORDS


def labels_of(query: str) -> set[str]:
    found = set(re.findall(r"[{,]\s*(\w+)\s*(?:=~|!~|!=|=)", query))
    for group in re.findall(r"\b(?:by|without)\s*\(([^)]*)\)", query):
        found |= {label.strip() for label in group.split(",")}
    return found


def test_metrics_and_labels_of_a_query_are_found() -> None:
    query = (
        'histogram_quantile(0.9, sum by (le, x) (rate(a_bucket{job=~"b",c="d"}[5m]))) / (sum(e_total) > 1)'
    )
    assert metrics_of(query) == {"a_bucket", "e_total"}
    assert labels_of(query) == {"le", "x", "job", "c"}


def test_documentation_and_dashboard_are_not_empty() -> None:
    assert len(documented()) >= 15 and len(queries()) >= 20


@pytest.mark.parametrize("query", queries())
def test_a_query_names_only_metrics_and_labels_that_exist(query: str) -> None:
    known = series()
    assert metrics_of(query) and metrics_of(query) <= set(known)
    assert labels_of(query) <= {"job", "instance"}.union(*(known[name] for name in metrics_of(query)))


@pytest.mark.parametrize("query", [query for query in queries() if "_total" in query or "_bucket" in query])
def test_rates_use_counters_and_quantiles_use_buckets(query: str) -> None:
    for inner in re.findall(r"\brate\((\w+)", query):
        assert inner.endswith(("_total", "_bucket"))
    for _ in re.findall(r"histogram_quantile", query):
        assert "_bucket" in query and re.search(r"by \([^)]*\ble\b", query)


def test_every_metric_is_on_a_panel() -> None:
    shown = {name.removesuffix("_bucket") for query in queries() for name in metrics_of(query)}
    assert set(documented()) - shown == set()


def test_panels_do_not_overlap_and_have_unique_ids() -> None:
    occupied: dict[tuple[int, int], str] = {}
    for panel in panels(read_json(BOARD)):
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        for x in range(grid["x"], grid["x"] + grid["w"]):
            for y in range(grid["y"], grid["y"] + grid["h"]):
                assert occupied.setdefault((x, y), panel["title"]) == panel["title"]
    ids = [panel["id"] for panel in panels(read_json(BOARD))]
    assert len(set(ids)) == len(ids)


def test_every_panel_uses_the_provisioned_data_source() -> None:
    (source,) = read_yaml(DEPLOY / "grafana/provisioning/datasources/prometheus.yml")["datasources"]
    used: set[Any] = {
        panel["datasource"]["uid"] for panel in panels(read_json(BOARD)) if "datasource" in panel
    }
    assert used == {source["uid"]}
    assert source["url"] == "http://prometheus:9090" and "prometheus" in compose()["services"]


def test_the_dashboard_is_in_the_provisioned_folder() -> None:
    (provider,) = read_yaml(DEPLOY / "grafana/provisioning/dashboards/threadlab.yml")["providers"]
    grafana = compose()["services"]["grafana"]
    mounts = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/{BOARD.name}"


def test_each_model_has_a_colour_of_the_style_sheets() -> None:
    css = (ROOT / "static" / "css").rglob("*.css")
    known = " ".join(path.read_text() for path in css).upper()
    colours = set(re.findall(r'"fixedColor": "(#\w+)"', BOARD.read_text()))
    assert len(colours) == len(model_modules()) and all(colour.upper() in known for colour in colours)
