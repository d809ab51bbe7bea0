"""How values look on a page: the Jinja environment and its filters.

Missing is an en dash, never 0. The same texts are made in the browser by static/js/format.js.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from app import assets
from app.pages.source import source_lines
from app.results import figures, fitness
from app.schemas.run import WARM_UP_ENDS, Mark, RunView

DASH = "–"
WORK_UNITS = {"us": "us", "ms": "ms"}  # the other parameters of work have none


def count(value: float | None) -> str:
    """1,234"""
    return DASH if value is None else f"{round(value):,}"


def rate(value: float | None) -> str:
    """Requests a second: 3,194, and 7.5 where tenths matter."""
    if value is None:
        return DASH
    return f"{value:.1f}" if 0 < value < 10 else count(value)


def us(value: float | None) -> str:
    """Microseconds as one reads them: 85 µs, 4.9 ms, 103 ms, 2.9 s."""
    if value is None:
        return DASH
    scale, unit = (1.0, "µs") if value < 1e3 else (1e3, "ms") if value < 1e6 else (1e6, "s")
    number = value / scale
    return (
        f"{number:.0f} {unit}" if number >= 100 or (unit == "µs" and number >= 10) else f"{number:.1f} {unit}"
    )


def size(value: float | None) -> str:
    """Bytes: 34 MiB, 0.7 KiB."""
    if value is None:
        return DASH
    number, units = float(value), ["B", "KiB", "MiB", "GiB"]
    while number >= 1000 and len(units) > 1:
        number /= 1024
        units.pop(0)
    return f"{number:.1f} {units[0]}" if units[0] != "B" and number < 10 else f"{number:,.0f} {units[0]}"


def decimal(value: float | None, places: int = 1) -> str:
    """A cost in its own unit: 41.6"""
    return DASH if value is None else f"{value:,.{places}f}"


def percent(value: float | None) -> str:
    """A number that is already in percent: 106 %, 4.5 %."""
    if value is None:
        return DASH
    return f"{value:.1f} %" if 0 < value < 10 else f"{value:.0f} %"


def share(value: float | None) -> str:
    """A fraction of one: 0.998 is 99.8 %."""
    return DASH if value is None else f"{value * 100:.1f} %".replace(".0 %", " %")


def duration(seconds: float | None) -> str:
    """12 s, 6 min, 2 h 5 min."""
    if seconds is None:
        return DASH
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def when(text: str | None) -> str | Markup:
    """An RFC 3339 time as a <time>; the browser writes it in the viewer's zone."""
    if not text:
        return DASH
    moment = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(text, f"{moment.day} {moment:%b %Y, %H:%M} UTC")


def knob(value: float | str | None) -> str:
    """A knob's value: 1,024, or the word as it is."""
    return value if isinstance(value, str) else count(value)


def knobs(values: Mapping[str, int | str], most: int = 99) -> str:
    """workers 4, reply worker"""
    return ", ".join(f"{name} {knob(value)}" for name, value in list(values.items())[:most])


def cpus(numbers: Sequence[int] | None) -> str:
    """CPU sets: 0–1, or 0, 2, 5."""
    if not numbers:
        return DASH
    ordered = sorted(numbers)
    if len(ordered) > 1 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{ordered[0]}–{ordered[-1]}"
    return ", ".join(map(str, ordered))


def fact(value: Any) -> str:
    """Any value of an environment or a placement, in words."""
    if value is None or value == "":
        return DASH
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return decimal(value, 2)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {fact(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value)
    return str(value)


def words(name: str) -> str:
    """cpu_model becomes CPU model; known abbreviations keep their capitals, and a unit is said with the value."""
    known = {"cpu": "CPU", "gil": "GIL", "io": "I/O", "python": "Python"}
    text = " ".join(known.get(part, part) for part in name.removesuffix("_bytes").split("_"))
    return text[:1].upper() + text[1:]


def work_text(work: Sequence[Mapping[str, Any]]) -> str:
    """A work mix as it is typed: 92% plaintext, 4% sleep 40ms, 4% hash 800us."""
    weights = [each.get("weight", 1) for each in work]
    scale = 100 / (sum(weights) or 1)
    if any(weight * scale % 1 for weight in weights):
        scale = 1  # not whole percents: the weights as they are say the same
    return ", ".join(_one_work(each, scale) for each in work)


def _one_work(each: Mapping[str, Any], scale: float) -> str:
    params = (f" {value}{WORK_UNITS.get(name, '')}" for name, value in (each.get("params") or {}).items())
    return f"{each.get('weight', 1) * scale:g}% {each['kind']}{''.join(params)}"


def stages_text(stages: Sequence[Mapping[str, Any]]) -> str:
    """Stages as they are typed: 10s to 2000, 20s to 5000."""
    return ", ".join(f"{each['duration_s']:.10g}s to {each['target']:.10g}" for each in stages)


PLAN_FIELDS = (
    "executor",
    "vus",
    "rate_per_s",
    "spacing",
    "objective",
    "duration_s",
    "warmup_s",
    "idle_connections",
    "pipeline",
    "slow_readers",
    "slow_writers",
    "stall_ms",
    "think_time_ms",
    "timeout_s",
    "shards",
    "placement",
)


def plan_fields(plan: Mapping[str, Any]) -> dict[str, str]:
    """A plan as the values of the load form's fields; what the plan leaves open is left out."""
    values = {name: _typed(plan[name]) for name in PLAN_FIELDS if plan.get(name) is not None}
    values |= {name: "on" for name in ("churn", "trace") if plan.get(name)}
    written = {"work": work_text, "stages": stages_text}
    return values | {name: text(plan[name]) for name, text in written.items() if plan.get(name)}


def _typed(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def figure(value: float | None, unit: str) -> str:
    """A figure of two runs side by side, by its unit."""
    if value is None:
        return DASH
    sign = "−" if value < 0 else ""
    shown: dict[str, Callable[[float], str]] = {
        "us": us,
        "bytes": size,
        "per_s": rate,
        "ratio": share,
        "count": count,
        "seconds": lambda v: f"{v:.1f} s",
        "per_request": lambda v: decimal(v, 3),
    }
    return sign + shown[unit](abs(value))


def change(value: float | None, unit: str) -> str:
    """A change with its sign: +1.2 ms, −340, 0."""
    return figure(value, unit) if not value or value < 0 else f"+{figure(value, unit)}"


def figure_name(name: str) -> str:
    """p999_us becomes p99.9, achieved_per_s becomes Achieved; the unit stands with the value."""
    known = {
        "p999_us": "p99.9",
        "io_calls": "I/O calls",
        "anon_bytes_per_connection": "Memory per connection",
    }
    plain = name.removesuffix("_us").removesuffix("_per_s").removesuffix("_s")
    return known.get(name) or (
        plain if re.fullmatch(r"p\d+", plain) else words(plain).replace("Rss bytes", "RSS,")
    )


def unlike_value(value: Any, name: str) -> str:
    """What stood in a plan, a knob or the environment of one run."""
    if name == "work" and value:
        return work_text(value)
    if name == "stages" and value:
        return stages_text(value)
    return fact(value)


def marks(values: Sequence[Mark]) -> list[dict[str, Any]]:
    """What happened when, for the charts; the end of the warm-up is drawn as the end of its band."""
    return [{"at": mark.t_s, "label": mark.text} for mark in values if mark.text != WARM_UP_ENDS]


def doc_parts(doc: str) -> Iterator[tuple[str, str | Markup]]:
    """A docstring as ("picture", its lines as they stand) and ("prose", a paragraph to be set anew)."""
    for block in re.split(r"\n\s*\n", doc.strip("\n")):
        lines = block.splitlines()
        if all(line.startswith(" ") for line in lines):
            yield "picture", textwrap.dedent(block)
        else:
            yield "prose", with_code(" ".join(line.strip() for line in lines))


def with_code(text: str) -> Markup:
    """`name` in prose as code."""
    parts = (
        Markup("<code>{}</code>").format(p) if i % 2 else escape(p) for i, p in enumerate(text.split("`"))
    )
    return Markup("").join(parts)


def figure_title(name: str) -> str:
    """What a figure of app/results/figures.py is called: "p99 response time of plaintext"."""
    return figures.figure(name).title


def figure_text(value: float | None, name: str) -> str:
    """Its value with its unit: "33.0 µs"."""
    return figures.figure(name).text(value)


def main_value(run: RunView) -> str:
    """The figure that a run is read for, with its unit."""
    assert run.verdict
    of = figures.figure(run.verdict.figure)
    return of.text(of.value(run.summary, run.ledger, run.capacity))


def resolution(run: RunView, name: str) -> float | None:
    """By how many µs the load generator's own lateness changes a percentile; None where that is not known."""
    if name.rpartition(".")[2] not in figures.PERCENTILES:
        return None
    return fitness.resolution_us(figures.figure(name), run.summary)


FILTERS: dict[str, Callable[..., Any]] = {
    "count": count,
    "rate": rate,
    "us": us,
    "bytes": size,
    "decimal": decimal,
    "percent": percent,
    "share": share,
    "duration": duration,
    "when": when,
    "knob": knob,
    "knobs": knobs,
    "cpus": cpus,
    "fact": fact,
    "words": words,
    "figure": figure,
    "change": change,
    "figure_name": figure_name,
    "unlike_value": unlike_value,
    "plan_fields": plan_fields,
    "source_lines": source_lines,
    "doc_parts": doc_parts,
    "with_code": with_code,
    "marks": marks,
    "figure_title": figure_title,
    "figure_text": figure_text,
    "main_value": main_value,
    "spoiled": fitness.spoiled,
    "resolution": resolution,
}


def make_environment(templates: Path, root: str = "") -> Environment:
    """Autoescape on everything, an unknown name is an error, macros in place once as `ui`.

    `root`: the path under which a proxy shows the lab, before every address.
    """
    env = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(FILTERS)
    env.globals["root"] = root
    env.globals["asset"] = lambda path: root + assets.address(path)
    env.globals["DASH"] = DASH
    env.globals["art"] = env.get_template("macros/diagrams.html").module
    env.globals["cmp"] = env.get_template("macros/compared.html").module
    env.globals["ui"] = env.get_template("macros/ui.html").module
    return env


def render_block(env: Environment, template: str, block: str, context: Mapping[str, Any]) -> str:
    """One block of a page: what HTMX swaps. The page around it does not run."""
    page = env.get_template(template)
    return "".join(page.blocks[block](page.new_context(dict(context))))
