"""An experiment and its answer, and the claim that it tests, as pages, API and command line show them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.schemas.host import RoundHost
from app.schemas.states import Answer, JobState


@dataclass(frozen=True, slots=True)
class EntryView:
    """A variant that is measured: a model with knobs."""

    key: str  # its name in cells, rounds and results
    title: str  # "Reactor pool, workers 8"
    model: str
    knobs: dict[str, int | str]  # the knobs that the claim sets; the others have their defaults


@dataclass(frozen=True, slots=True)
class CellView:
    """One setting of everything but the entry."""

    key: str
    title: str
    plan: dict[str, Any]
    plan_text: str
    entries: tuple[EntryView, ...]


@dataclass(frozen=True, slots=True)
class ExperimentTrial:
    """One run of a round. `void`: why figures of it do not count, in one sentence each."""

    entry: str
    run: int
    verdict: str | None  # "Limited by the server"
    values: dict[str, float | None]  # by figure; None: unknown
    void: dict[str, str] = field(default_factory=dict)  # by figure


@dataclass(frozen=True, slots=True)
class ExperimentRound:
    """A round of one cell: its trials in the order in which they were measured."""

    cell: str
    number: int  # from 1
    trials: tuple[ExperimentTrial, ...]
    host: str | None = None  # that measured it; None: the machine of the lab


@dataclass(frozen=True, slots=True)
class TestResult:
    """What one test of a claim found in one cell.

    Of a ratio: `ratios` of entry `a` to entry `b` within rounds, `ratio` their geometric mean, and the
    `margin` (None: equivalence) and `band` that decide. Of a count: `values` of entry `a`, their median
    and range as text with the unit, and the `bound` in words.
    """

    title: str
    cell: str
    a: str
    b: str | None  # None: a count
    figure: str
    answer: Answer
    sentence: str
    margin: float | None = None
    band: float | None = None
    ratios: tuple[float, ...] = ()
    ratio: float | None = None
    values: tuple[float, ...] = ()
    value_text: str = ""
    values_text: str = ""
    bound: str | None = None


@dataclass(frozen=True, slots=True)
class Calibration:
    """An A/A pair, measured like any other: what the decision rule makes of a model compared with itself.

    `noisy`: it was not without difference, and neither was the pair that repeats it, unless `pairs` is 1 and
    the repetition is still to come or was stopped. Ratio answers of the session are doubtful then.
    `power`: the probability that a true ratio of 1.15 passes a margin of 1.10 at this spread.
    """

    answer: Answer
    ratios: tuple[float, ...]
    deviation: float | None  # standard deviation of the logarithm of the ratios; None: fewer than two
    power: float | None
    noisy: bool
    measured_at: str | None = None  # when its last round ended; None: measured before this was stored
    pairs: int | None = None  # 1, or 2 if it was repeated; None: measured before this was stored


@dataclass(frozen=True, slots=True)
class ExperimentView:
    """A test of one claim: cells, rounds, and the answer. Result fields are None until there is a result."""

    id: int
    state: JobState
    progress: float  # 0..1
    left_s: float | None  # estimate; None: not known, or nothing left
    label: str | None
    claim: str  # its id
    text: str  # the claim in one sentence
    session: tuple[int, ...]  # ids of the experiments that were requested together, with this one
    quick: bool
    rounds_wanted: int  # at least so many valid rounds for each ratio
    seed: int  # of the random orders
    prediction: Answer | None
    cells: tuple[CellView, ...]
    trials_total: int  # estimate: those that ended, and those that are left
    rounds: tuple[ExperimentRound, ...]
    ratios: tuple[TestResult, ...]
    answer: Answer | None
    because: tuple[str, ...]
    calibration: Calibration | None
    facts: dict[str, Any]  # what the check needs besides trials, such as which models are available
    runs: tuple[int, ...]
    current: int | None  # id of the run in progress
    environment: dict[str, Any]
    failure: str | None
    created_at: str
    finished_at: str | None
    predicted_ratio: float | None = None  # of the first ratio, as the reader expects it
    wants_trace: bool = False  # whether to run the entries once more with a thread trace, uncounted
    traced: dict[str, int] = field(default_factory=dict)  # ids of these runs, by entry
    hosts: tuple[RoundHost, ...] = ()  # that measured rounds; (): the machine of the lab did
    host_notes: tuple[str, ...] = ()  # lost rounds, and what depends on the kind of host
    answered_at: str | None = None  # when all its rounds were complete, although an A/A pair is repeated

    @property
    def has_answer(self) -> bool:
        """Whether nothing that is still to be measured can change the answer; the mark *noisy* can."""
        return self.answered_at is not None or not self.state.is_unfinished

    @property
    def is_noisy(self) -> bool:
        """Whether the answer rests on ratios that were measured on a noisy machine."""
        has_ratios = any(result.b is not None for result in self.ratios)
        return bool(has_ratios and self.calibration and self.calibration.noisy)


@dataclass(frozen=True, slots=True)
class AnswerView:
    """An answer to a claim: of an experiment in the history, or of the reference machine."""

    experiment: int | None  # None: a reference answer
    answer: Answer
    because: tuple[str, ...]
    quick: bool
    noisy: bool
    finished_at: str
    environment: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RetellingView:
    """A claim as it would be in a restaurant: the claim, what is measured, and the mechanism."""

    text: str
    question: str
    why: str


@dataclass(frozen=True, slots=True)
class RefutationView:
    """A changed condition that should refute a claim, which can be measured as a variant of it.

    `claim`: the id of the variant, such as pool-9x~one-worker. Its answers are kept apart from the claim's.
    """

    claim: str
    text: str


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """The newest experiment of a claim that has an answer: of this lab, or of the reference machine."""

    view: ExperimentView
    is_reference: bool


@dataclass(frozen=True, slots=True)
class ClaimView:
    """A claim of the literature, how it is tested here, and the last answers."""

    id: str
    order: int
    text: str
    short: str  # a few words
    question: str  # what is measured
    why: str  # the mechanism that the claim rests on
    headline: int  # number of the test whose figure stands for the answer
    restaurant: RetellingView
    quotation: str | None  # literal text of the source
    source: str
    url: str | None
    in_article: bool
    tested_as: str
    model: str | None  # the model that the claim is about; None: about none or several
    kind: str  # ratio, equivalence, count, not_judged
    metric: tuple[str, ...]  # the figures that decide
    margin: float | None  # of the first ratio; None: there is none, or equivalence
    entries: tuple[EntryView, ...]
    plan: tuple[CellView, ...]
    cannot_show: tuple[str, ...]
    refute: str
    refutations: tuple[RefutationView, ...]
    variant_of: str | None  # id of the claim that this one is a variant of
    changed: str  # the condition that a variant changes
    estimate_s: float  # of a whole experiment with seven rounds, with its calibration
    answers: tuple[AnswerView, ...]  # the newest first; without any, that of the reference machine
