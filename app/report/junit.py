"""A run as JUnit XML, for build servers: a test case for each threshold, and one for the run itself.

A breached threshold is a failure; a run without a result is an error. The verdict is a property of the suite, not a
test: whoever wants a build to depend on it writes the threshold `verdict==server_bound`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as xml

from app.lab.views import RunView, ThresholdResult

HAS_A_RESULT = "the run has a result"
# XML 1.0 has no way to write these, not even as a reference.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(*views: RunView) -> str:
    """The document, as text; a suite for each run."""
    root = _element("testsuites", name="Thread Model Lab")
    root.extend(_suite(view) for view in views)
    for name in ("tests", "failures", "errors", "time"):
        root.set(name, f"{sum(float(suite.get(name, 0)) for suite in root):g}")
    xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(root, encoding="unicode") + "\n"


def _suite(view: RunView) -> xml.Element:
    cases = [_result(view), *(_threshold(view, each) for each in view.thresholds)]
    suite = _element(
        "testsuite", name=f"run {view.id}: {view.model}, {view.title}", tests=len(cases),
        failures=sum(case.find("failure") is not None for case in cases),
        errors=sum(case.find("error") is not None for case in cases),
        skipped=0, time=_seconds(view), timestamp=view.created_at[:19],
    )  # fmt: skip
    properties = xml.SubElement(suite, "properties")
    properties.extend(_element("property", name=name, value=value) for name, value in _properties(view))
    suite.extend(cases)
    if view.verdict:
        xml.SubElement(suite, "system-out").text = _clean(" ".join((f"{view.verdict.title}.", *view.verdict.because)))
    return suite


def _properties(view: RunView) -> Iterator[tuple[str, object]]:
    yield from (("run", view.id), ("state", view.state), ("model", view.model), ("plan", view.plan_text))
    if view.label:
        yield "label", view.label
    if view.verdict:
        yield from (("verdict", view.verdict.name), ("rankable", str(view.verdict.rankable).lower()))
    if view.summary:
        yield from (("requests", view.summary.requests), ("achieved_per_s", view.summary.achieved_per_s))


def _result(view: RunView) -> xml.Element:
    case = _element("testcase", classname=_class(view), name=HAS_A_RESULT, time=_seconds(view))
    if view.summary is None or view.state == "failed":
        said = view.failure or f"The run is {view.state}, and nothing was measured."
        case.append(_element("error", type=view.state, message=said))
    return case


def _threshold(view: RunView, threshold: ThresholdResult) -> xml.Element:
    case = _element("testcase", classname=_class(view), name=threshold.text, time="0")
    if threshold.breached:
        case.append(_element("failure", type="threshold", message=f"{threshold.text}, but it was {threshold.seen}"))
    return case


def _class(view: RunView) -> str:
    return f"threadlab.{view.model}"


def _seconds(view: RunView) -> str:
    return f"{view.summary.duration_s:.3f}" if view.summary else "0"


def _element(tag: str, **attributes: object) -> xml.Element:
    return xml.Element(tag, {name: _clean(str(value)) for name, value in attributes.items()})


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
