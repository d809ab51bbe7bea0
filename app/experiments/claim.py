"""A claim as data: its source, the cells to measure, what must be valid, and the check that answers it.

A file of app/experiments/claims has one CLAIM. Adding a claim is adding a file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from app.experiments.curve import Curve
from app.experiments.evidence import Evidence
from app.schemas.experiment import TestResult
from app.schemas.states import Answer, VerdictName
from app.statistics.decision import Criterion


@dataclass(frozen=True, slots=True)
class Source:
    """Where the literature says it."""

    name: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Retelling:
    """A claim as it would be in a restaurant, where waiters and cooks are the threads and tables connections.

    text: the claim. question: what is measured. why: the mechanism.
    """

    text: str
    question: str
    why: str


@dataclass(frozen=True, slots=True)
class Story:
    """How pages tell a claim.

    short: a few words, for lists. question: what is measured, as a question. why: the mechanism that the
    claim rests on. headline: number of the test whose figure stands for the answer in lists.
    """

    short: str
    question: str
    why: str
    restaurant: Retelling
    headline: int = 0


UNTOLD = Story("", "", "", Retelling("", "", ""))  # of claims that no page shows


ARTICLE = Source("the article of this project's mission, on the thread models of network servers")


@dataclass(frozen=True, slots=True)
class Entry:
    """A variant: a model with knob values. `key`: its name within the claim; default: the model.

    `copy`: tells equal entries of one cell apart, such as those of an A/A pair.
    """

    model: str
    knobs: Mapping[str, int | str] = field(default_factory=dict)
    key: str = ""
    copy: int = 0

    @property
    def name(self) -> str:
        return self.key or self.model

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes two entries of different claims the same."""
        return self.model, tuple(sorted(self.knobs.items())), self.copy


@dataclass(frozen=True, slots=True)
class Cell:
    """One setting of everything but the entry. Without a duration, the plan has that of the session."""

    key: str
    title: str
    plan: Mapping[str, Any]
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio within rounds, of entry `a` to entry `b`. `margin`: None tests equivalence.

    `where`: tells the cell apart in sentences, if the claim has several.
    """

    cell: str
    a: str
    b: str
    figure: str
    margin: float | None = 1.10
    where: str = ""

    @property
    def entries(self) -> tuple[str, ...]:
        return self.a, self.b

    @property
    def figures(self) -> tuple[str, ...]:
        return (self.figure,)

    @property
    def criterion(self) -> Criterion:
        return Criterion(self.margin)


@dataclass(frozen=True, slots=True)
class Count:
    """Figures of one entry that a bound decides, in one to three trials."""

    cell: str
    entry: str
    figures: tuple[str, ...]
    trials: int = 2

    @property
    def entries(self) -> tuple[str, ...]:
        return (self.entry,)


Need = Ratio | Count


@dataclass(frozen=True, slots=True)
class Refutation:
    """A changed condition under which the claim should fail, as a variant of it that can be measured.

    key: its name in addresses. text: what is changed. plan: fields of the plan of every cell that are
    replaced; plans: those of single cells, by key. entries: entries that are replaced, by name. words: of the
    sentences of the check, which state the unchanged condition, with what replaces them.
    """

    key: str
    text: str
    plan: Mapping[str, Any] = field(default_factory=dict)
    plans: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    entries: Mapping[str, Entry] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer of a check, with its reasons in sentences and the results of its tests."""

    answer: Answer
    because: tuple[str, ...]
    results: tuple[TestResult, ...] = ()


@dataclass(frozen=True)
class Claim:
    """One claim. `check` is pure: it reads only the evidence.

    text: one sentence. tested_as: how it is read here. shown: figures that are kept besides those that
    decide. tolerates: verdicts that are the predicted effect, and so do not void a trial. selects: chooses
    the needs that decide by what was measured so far; the others are measured once. cannot_show: what the
    method cannot see. curve: the figure over what is varied. refute: what to change to see it fail;
    refutations: those changes that can be measured. variant: of a variant, what it changes.
    """

    id: str
    order: int
    text: str
    tested_as: str
    check: Callable[[Evidence], Finding]
    story: Story = UNTOLD
    source: Source = ARTICLE
    quotation: str | None = None
    model: str | None = None
    cells: tuple[Cell, ...] = ()
    needs: tuple[Need, ...] = ()
    shown: tuple[str, ...] = ()
    tolerates: frozenset[VerdictName] = frozenset()
    selects: Callable[[Evidence], Collection[Need]] | None = None
    facts: tuple[str, ...] = ()  # names in app/experiments/facts.py
    cannot_show: tuple[str, ...] = ()
    curve: Curve | None = None
    refute: str = ""
    refutations: tuple[Refutation, ...] = ()
    variant: Refutation | None = None

    @property
    def in_article(self) -> bool:
        return self.source is ARTICLE

    @cached_property
    def figures(self) -> tuple[str, ...]:
        """The names of all figures that are kept of each trial."""
        needed = (figure for need in self.needs for figure in need.figures)
        return tuple(dict.fromkeys((*needed, *self.shown)))

    @property
    def ratios(self) -> Iterator[Ratio]:
        return (need for need in self.needs if isinstance(need, Ratio))

    @property
    def kind(self) -> str:
        """What decides: ratio, equivalence, count, or nothing (not_judged)."""
        margins = [ratio.margin for ratio in self.ratios]
        if margins:
            return "equivalence" if None in margins else "ratio"
        return "count" if self.needs or self.facts == ("models",) else "not_judged"

    def cell(self, key: str) -> Cell:
        """Return the cell with this key. Raises StopIteration."""
        return next(cell for cell in self.cells if cell.key == key)
