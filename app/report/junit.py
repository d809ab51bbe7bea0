"""Writes a run or a comparison as JUnit XML for build servers: one test case per threshold and per run.

A breached threshold is a failure, a run without a result an error, a comparison without a winner is skipped.
The verdict is a property of the suite, not a test case; to let a build depend on it, use the threshold
`verdict==server_bound`. Class and name of a test case are unique in a file and the same in every build.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from xml.etree import ElementTree as xml

from app.schemas.comparison import ComparisonTrial, ComparisonView
from app.schemas.result import Verdict
from app.schemas.run import RunView
from app.schemas.states import RunState

HAS_A_RESULT = "the run has a result"
HAS_A_WINNER = "the comparison has an answer"
# Characters that XML 1.0 cannot contain, not even as a reference.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(view: RunView) -> str:
    """Return a run as a document with one suite."""
    return document([_suite(view, f"threadlab.{view.model}")])


def write_comparison(view: ComparisonView, runs: Mapping[int, RunView]) -> str:
    """Return a comparison as a document: a suite for its result, and one per trial whose run is in `runs`."""
    trials = (
        _suite(runs[trial.run], f"threadlab.{view.entries[trial.entry].model}.{_trial(view, trial)}")
        for trial in view.runs
        if trial.run in runs
    )
    return document([_result_suite(view), *trials])


def document(suites: Iterable[xml.Element]) -> str:
    """Return suites as one document with their totals."""
    root = element("testsuites", name="Thread Model Lab")
    root.extend(suites)
    for name in ("tests", "failures", "errors", "skipped", "time"):
        root.set(name, f"{sum(float(suite.get(name, 0)) for suite in root):g}")
    xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(root, encoding="unicode") + "\n"


def _trial(view: ComparisonView, trial: ComparisonTrial) -> str:
    return f"{view.entries[trial.entry].letter}-trial-{trial.trial}"


def _result_suite(view: ComparisonView) -> xml.Element:
    """Return the suite with the test case whether the comparison has a winner."""
    case = element("testcase", classname="threadlab.comparison", name=HAS_A_WINNER, time="0")
    sentences = view.result.said if view.result else (view.failure or "Nothing was measured.",)
    has_winner = bool(view.result and any(standing.place for standing in view.result.standings))
    if not has_winner:
        case.append(element("skipped", message=sentences[0]))
    suite = element(
        "testsuite",
        name=f"comparison {view.id}: {view.title}",
        tests=1,
        failures=0,
        errors=0,
        skipped=int(not has_winner),
        time="0",
        timestamp=view.created_at[:19],
    )
    suite.append(case)
    xml.SubElement(suite, "system-out").text = clean(" ".join(sentences))
    return suite


def _suite(view: RunView, classname: str) -> xml.Element:
    cases = [_result(view, classname), *_thresholds(view, classname)]
    suite = element(
        "testsuite",
        name=f"run {view.id}: {view.model}, {view.title}",
        tests=len(cases),
        failures=sum(case.find("failure") is not None for case in cases),
        errors=sum(case.find("error") is not None for case in cases),
        skipped=0,
        time=_seconds(view),
        timestamp=view.created_at[:19],
    )
    properties = xml.SubElement(suite, "properties")
    properties.extend(element("property", name=name, value=value) for name, value in _properties(view))
    suite.extend(cases)
    if view.verdict:
        sentences = (f"{view.verdict.title}.", *view.verdict.because, *_not_ranked(view.verdict))
        xml.SubElement(suite, "system-out").text = clean(" ".join(sentences))
    return suite


def _not_ranked(verdict: Verdict) -> Iterator[str]:
    if verdict.why_not:
        yield f"Excluded from ranking: {verdict.why_not}"


def _properties(view: RunView) -> Iterator[tuple[str, object]]:
    yield from (("run", view.id), ("state", view.state), ("model", view.model), ("plan", view.plan_text))
    if view.label:
        yield "label", view.label
    if view.comment:
        yield "comment", view.comment
    if view.verdict:
        yield from (("verdict", view.verdict.name), ("rankable", str(view.verdict.rankable).lower()))
    if view.summary:
        yield from (("requests", view.summary.requests), ("achieved_per_s", view.summary.achieved_per_s))


def _result(view: RunView, classname: str) -> xml.Element:
    case = element("testcase", classname=classname, name=HAS_A_RESULT, time=_seconds(view))
    if view.summary is None or view.state == RunState.FAILED:
        message = view.failure or f"No result (state: {view.state})."
        case.append(element("error", type=view.state, message=message))
    return case


def _thresholds(view: RunView, classname: str) -> Iterator[xml.Element]:
    seen: Counter[str] = Counter()
    for threshold in view.thresholds:
        seen[threshold.text] += 1
        suffix = f" ({seen[threshold.text]})" if seen[threshold.text] > 1 else ""
        case = element("testcase", classname=classname, name=threshold.text + suffix, time="0")
        if threshold.breached:
            message = f"{threshold.text} breached: {threshold.seen}"
            case.append(element("failure", type="threshold", message=message))
        yield case


def _seconds(view: RunView) -> str:
    return f"{view.summary.duration_s:.3f}" if view.summary else "0"


def element(tag: str, **attributes: object) -> xml.Element:
    """Return an element; characters that XML cannot contain are replaced."""
    return xml.Element(tag, {name: clean(str(value)) for name, value in attributes.items()})


def clean(text: str) -> str:
    """Return text without the characters that XML cannot contain."""
    return _NOT_XML.sub("\ufffd", text)
