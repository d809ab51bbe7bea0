"""docs/models.md from what the engines say of themselves: `make docs`. A test says when it is stale.

python -m engines --describe | python docs/make_models.py > docs/models.md
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

Told = dict[str, Any]  # one model, as `--describe` gives it

OPENING = """\
# The models

Made by `make docs` from the lessons in `engines/` and from `engines/literature.toml`; the page `/models` of the lab
shows the same. Edit those, not this file.
"""
COMMON = """
## Knobs that every model has

They bound what one engine may take, and say when a silent peer is let go.
"""
WIDTH = 116


def main() -> None:
    sys.stdout.write(document(json.load(sys.stdin)))


def document(models: Sequence[Told]) -> str:
    """The whole page."""
    lines = [OPENING, *table(("model", "in one sentence", "threads"), (row(model) for model in models))]
    for model in models:
        lines += ["", *chapter(model)]
    common = [knob for knob in models[0]["knobs"] if knob["common"]]
    return "\n".join([*lines, COMMON, *knob_table(common)]) + "\n"


def row(model: Told) -> tuple[str, ...]:
    name = model["name"]
    return f"[`{name}`](#{name})", model["summary"], ", ".join(role["title"] for role in model["roles"])


def chapter(model: Told) -> Iterator[str]:
    """What it is, its picture, what to watch, what it gives and costs, who uses it, its names, its knobs."""
    title, picture, prose, watch = docstring(model["doc"])
    also = f" Also called {', '.join(model['aliases'])}." if model["aliases"] else ""
    file = f"The lesson: [`{model['file']}`](../{model['file']})."
    yield from (f"## {model['name']}", "", *wrapped(f"**{title}** {model['summary']}{also}"), "", file)
    yield from ("", "```", picture, "```", "", *wrapped(prose), "", *wrapped(f"**In the lab.** {watch}"), "")
    roles = ((f"**{role['title']}**", role["does"], role["restaurant"]) for role in model["roles"])
    yield from table(("thread", "what it does", "in a restaurant"), roles)
    for heading, name in (("What it gives", "pros"), ("What it costs", "cons"), ("In the field", "used_by")):
        yield from ("", f"**{heading}**", "", *(item for each in model[name] for item in bullet(each)))
    if model["literature"]:
        yield from ("", "**In the literature**", "")
        for term in model["literature"]:
            yield from bullet(f"**{term['name']}.** {term['says']} *{term['source']}.*")
    if own := [knob for knob in model["knobs"] if not knob["common"]]:
        yield from (
            "",
            "**Knobs**, beside [those of every model](#knobs-that-every-model-has)",
            "",
            *knob_table(own),
        )


def docstring(doc: str) -> tuple[str, str, str, str]:
    """Title, picture, prose up to "Watch", and what to watch: the order in which every lesson opens."""
    title, picture, *paragraphs = re.split(r"\n\n(?=\S|    )", doc.strip())
    prose = " ".join(" ".join(paragraphs).split())
    before, watch, after = re.split(r"(?<=\. )(Watch )", prose, maxsplit=1)
    return title, textwrap.dedent(picture), before.strip(), watch + after


def knob_table(knobs: Sequence[Told]) -> Iterator[str]:
    rows = ((f"`{knob['name']}`", str(knob["default"]), bounds(knob), knob["help"]) for knob in knobs)
    return table(("knob", "default", "range", "what it does"), rows)


def bounds(knob: Told) -> str:
    if knob["choices"]:
        return ", ".join(knob["choices"])
    return f"{knob['minimum']:,} to {knob['maximum']:,} {knob['unit']}".strip()


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    yield from (f"| {' | '.join(cells)} |" for cells in rows)


def bullet(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)


def wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_on_hyphens=False)


if __name__ == "__main__":
    main()
