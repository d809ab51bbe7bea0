"""Completion-based I/O is not available everywhere."""

from __future__ import annotations

from app.experiments.claim import Claim, Finding, Retelling, Story
from app.experiments.evidence import Evidence
from app.schemas.experiment import TestResult
from app.schemas.states import Answer

PLATFORMS = (
    "Linux 5.1 and newer: io_uring, often forbidden in containers and by sysctl kernel.io_uring_disabled",
    "Windows: I/O completion ports (IOCP), the model's origin",
    "macOS and BSD: kqueue reports readiness; POSIX AIO does not cover sockets",
)


def check(evidence: Evidence) -> Finding:
    """Read whether the proactor can run here."""
    reason = evidence.facts["models"].get("proactor", "There is no such model.")
    here = "io_uring works on this machine." if reason is None else f"No io_uring here: {reason}"
    result = TestResult(
        title="Operating systems with completion-based socket I/O",
        cell="",
        a="proactor",
        b=None,
        figure="platforms",
        answer=Answer.HOLDS,
        sentence=f"{here} Of three platforms, two have completions for sockets: the support is limited.",
        values=(2.0,),
        bound="fewer than all",
    )
    return Finding(Answer.HOLDS, (result.sentence, *(f"{platform}." for platform in PLATFORMS)), (result,))


CLAIM = Claim(
    id="proactor-support",
    order=180,
    text="Operating systems have limited support for the proactor.",
    tested_as="a probe of io_uring on this machine, and the interfaces of other platforms",
    check=check,
    model="proactor",
    facts=("models",),
    cannot_show=("Other platforms than this one: the table is from their documentation.",),
    story=Story(
        short="Limited OS support",
        question="Which operating systems have completions for sockets?",
        why=(
            "Completion-based I/O is an interface of its own on each system: io_uring on Linux, "
            "IOCP on Windows. Others report readiness only."
        ),
        restaurant=Retelling(
            text="Not every building has a hatch.",
            question="Which buildings have a hatch?",
            why="A hatch must be built in. Some buildings have one, some forbid its use.",
        ),
    ),
    refute="Find a current system without readiness-based I/O: there is none.",
)
