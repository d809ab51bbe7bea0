"""Writes experiments as JUnit XML: one test case per claim.

A case fails if its answer is not the predicted one, is an error if the experiment failed, and is skipped if
the claim could not be tested or is not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as xml

from app.experiments.checks import WORDS
from app.report.junit import clean, document, element
from app.schemas.experiment import ExperimentView
from app.schemas.states import Answer, JobState

SKIPPED = (Answer.CANNOT_TEST, Answer.NOT_JUDGED, Answer.UNCLEAR, None)


def write(views: Sequence[ExperimentView]) -> str:
    """Return experiments as a document with one suite."""
    cases = [_case(view) for view in views]
    suite = element(
        "testsuite",
        name="claims",
        tests=len(cases),
        failures=sum(case.find("failure") is not None for case in cases),
        errors=sum(case.find("error") is not None for case in cases),
        skipped=sum(case.find("skipped") is not None for case in cases),
        time="0",
        timestamp=views[0].created_at[:19] if views else "",
    )
    suite.extend(cases)
    return document([suite])


def _case(view: ExperimentView) -> xml.Element:
    case = element("testcase", classname="threadlab.claim", name=view.claim, time="0")
    sentence = " ".join(view.because) or view.failure or "Nothing was measured."
    if view.state is JobState.FAILED:
        case.append(element("error", type=view.state, message=view.failure or sentence))
    elif view.prediction and view.answer is not view.prediction:
        answer = WORDS[view.answer] if view.answer else "no answer"
        message = f"predicted: {WORDS[view.prediction]}, found: {answer}"
        case.append(element("failure", type="prediction", message=message))
    elif view.answer in SKIPPED:
        case.append(element("skipped", message=sentence))
    xml.SubElement(case, "system-out").text = clean(f"{view.text} {sentence}")
    return case
