"""Request bodies of the API. Unknown fields are rejected.

Bounds that depend on settings or models are checked below the API, so that pages and command line have them
too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from app.experiments.experiments import CLAIMS_MAX, PREDICTABLE
from app.history.history import TEXTS_MAX
from app.imports.parsers import TEXT_MAX as TOOL_OUTPUT_MAX
from app.plans.fields import FIELDS, FieldKind, PlanField
from app.plans.thresholds import THRESHOLDS_MAX
from app.plans.validate import STAGES_MAX
from app.plans.validate_groups import GROUPS_MAX
from app.plans.validate_http import BODY_MAX, HEADER_VALUE_MAX, HEADERS_MAX
from app.plans.validate_work import WORKS_MAX
from app.rounds.schedule import SEED_MAX
from app.runs.request import SUCCESSORS_MAX
from app.runs.runs import CONCURRENT_MAX
from app.statistics.decision import QUICK_ROUNDS, ROUNDS, ROUNDS_MAX
from app.tunings.values import RANGE_MAX, VALUES_MAX

TEXT_MAX = 200  # default length limit of text, in characters
Text = Annotated[str, Field(max_length=TEXT_MAX)]


def _short(value: Any) -> Any:
    """Return the value unchanged. Raises ValueError if it is too long a text."""
    if isinstance(value, str) and len(value) > TEXT_MAX:
        raise ValueError(f"the value of a knob has at most {TEXT_MAX} characters")
    return value


# The fleet checks a value against its knob; its message is clearer than that of a union of types.
_KNOB_VALUE = {"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": TEXT_MAX}]}
KnobValue = Annotated[Any, AfterValidator(_short), WithJsonSchema(_KNOB_VALUE)]


class Spec(BaseModel):
    """A request body without unknown fields."""

    model_config = ConfigDict(extra="forbid")


class EngineSpec(Spec):
    """An engine to start, of a `model` or of an external `server`.

    `port`: 0 selects a free port. `cpus`: the CPUs to which it is pinned.
    """

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"oneOf": [{"required": ["model"]}, {"required": ["server"]}]}
    )

    model: Annotated[Text, Field(min_length=1)] = ""
    server: Annotated[Text, Field(min_length=1)] = ""
    knobs: dict[Text, KnobValue] = Field(default_factory=dict, max_length=50)
    port: int = Field(0, ge=0, le=65535)
    cpus: list[Annotated[int, Field(ge=0, le=4096)]] | None = Field(None, max_length=1024)


def _whole(value: Any) -> Any:
    """Return 5 for 5.0: in JSON Schema it is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# The validation of the plan checks each parameter; its message is clearer than that of a union of types.
_PARAMETER = {
    "anyOf": [
        {"type": "integer"},
        {"type": "string", "maxLength": BODY_MAX},
        {
            "type": "object",
            "additionalProperties": {"type": "string", "maxLength": HEADER_VALUE_MAX},
            "maxProperties": HEADERS_MAX,
        },
    ]
}
Parameter = Annotated[Any, AfterValidator(_whole), WithJsonSchema(_PARAMETER)]


class WorkSpec(Spec):
    """A work kind of the mix. `params`: `us` of cpu and hash, `ms` of sleep, `n` of bytes and echo.

    Those of http: `path`, and optionally `method`, `headers` (value by name), `body` (text) and `status` (the
    expected one). Values of headers that may be secret are masked in every response.
    """

    kind: Text
    weight: int = 1
    params: dict[Text, Parameter] = Field(default_factory=dict, max_length=8)


class StageSpec(Spec):
    """A stage of a ramp, linear over `duration_s` to `target` (connections or req/s)."""

    duration_s: float
    target: float


class GroupSpec(Spec):
    """A load group: a further load with own results. With `rate_per_s` an open loop, else a closed one."""

    name: Text
    vus: int = 8
    rate_per_s: float | None = None
    churn: bool = False
    work: list[WorkSpec] = Field(default_factory=list, max_length=WORKS_MAX)
    think_time_ms: float = 0


def _plan_type(each: PlanField) -> Any:
    """Return the type of a plan's field."""
    match each.kind:
        case FieldKind.CHOICE:
            return Literal[tuple(each.choices)]
        case FieldKind.INTEGER:
            return int
        case FieldKind.NUMBER:
            return float if each.default is not None else float | None
        case FieldKind.FLAG:
            return bool
        case FieldKind.WORK:
            return Annotated[list[WorkSpec], Field(max_length=WORKS_MAX)]
        case FieldKind.STAGES:
            return Annotated[list[StageSpec], Field(max_length=STAGES_MAX)]
        case FieldKind.GROUPS:
            return Annotated[list[GroupSpec], Field(max_length=GROUPS_MAX)]
    return Text | None


def _plan_field(each: PlanField) -> Any:
    """Return type and default of a plan's field. The plan's validation checks bounds, by machine."""
    if each.kind in (FieldKind.WORK, FieldKind.STAGES, FieldKind.GROUPS):
        return _plan_type(each), Field(default_factory=list, description=each.help)
    return _plan_type(each), Field(each.default, description=each.help)


if TYPE_CHECKING:
    PlanSpec = Spec
else:
    PlanSpec = create_model(
        "PlanSpec",
        __base__=Spec,
        __doc__="The load to offer. Omitted fields have the value of the scenario, or the default.",
        **{each.name: _plan_field(each) for each in FIELDS},
    )


class ModelSpec(Spec):
    """A model with its knobs."""

    model: Annotated[Text, Field(min_length=1)]
    knobs: dict[Text, KnobValue] = Field(default_factory=dict, max_length=50)


class RunSpec(Spec):
    """A run to queue, against `engine` (an id), or against a new engine of `model` with `knobs`.

    The models in `then` take over from it one after another, on the same port and under load (hot swap). With
    `engines` (ids), one run per engine; they run in parallel, share the machine and are never ranked.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [{"required": ["engine"]}, {"required": ["model"]}, {"required": ["engines"]}]
        },
    )

    engine: Annotated[Text, Field(min_length=1)] = ""
    model: Annotated[Text, Field(min_length=1)] = ""
    engines: list[Text] = Field(default_factory=list, max_length=CONCURRENT_MAX)
    knobs: dict[Text, KnobValue] = Field(default_factory=dict, max_length=50)
    then: list[ModelSpec] = Field(default_factory=list, max_length=SUCCESSORS_MAX)
    scenario: Text | None = None
    plan: PlanSpec | None = None
    thresholds: list[Text] = Field(default_factory=list, max_length=THRESHOLDS_MAX)
    label: Text | None = None


class ComparisonSpec(Spec):
    """Models to compare under one plan, in rounds of random order. A model may occur several times.

    Without `scenario` and `plan`, the load is that of the default scenario of the view. Fewer than 7 rounds
    give no places. `trials` is an alias of `rounds`.
    """

    models: list[Text | ModelSpec] = Field(min_length=1, max_length=12)
    view: Literal["ceiling", "equal-rate"] | None = None
    rounds: int = Field(ROUNDS, ge=1, le=ROUNDS_MAX, validation_alias=AliasChoices("rounds", "trials"))
    seed: int | None = Field(None, ge=0, le=SEED_MAX, description="of the random order; null: a new one")
    scenario: Text | None = None
    plan: PlanSpec | None = None
    thresholds: list[Text] = Field(default_factory=list, max_length=THRESHOLDS_MAX)
    label: Text | None = None


class ExperimentSpec(Spec):
    """A claim to test, or several (`claims`), or a `set` of them.

    `rounds`: valid rounds of each ratio, 7 by default; fewer only lean. `quick`: three short rounds.
    `prediction`, `predicted_ratio`: the answer and the first ratio that you expect; they are kept with the
    result. `trace`: run the entries once more with a thread trace, not counted.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [{"required": ["claim"]}, {"required": ["claims"]}, {"required": ["set"]}]
        },
    )

    claim: Annotated[Text, Field(min_length=1)] = ""
    claims: list[Text] = Field(default_factory=list, max_length=CLAIMS_MAX)
    set: Literal["article", "all"] | None = None
    rounds: int | None = Field(None, ge=1, le=ROUNDS_MAX)
    quick: bool = False
    prediction: Literal[tuple(each.value for each in PREDICTABLE)] | None = None  # type: ignore[valid-type]
    predicted_ratio: float | None = Field(None, ge=0.01, le=1000)
    trace: bool = False
    seed: int | None = Field(None, ge=0, le=SEED_MAX, description="of the random orders; null: a new one")
    label: Text | None = None


class TuningSpec(Spec):
    """A knob of a `model` or of an external `server` to tune for an objective.

    Its values are listed in `values`, or a grid with both ends `from` and `to`; without any, all choices of
    the knob. `knobs`: values of the others. `objective`: a limit of a latency, such as `p(99)<50ms`.
    """

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"oneOf": [{"required": ["model"]}, {"required": ["server"]}]}
    )

    model: Annotated[Text, Field(min_length=1)] = ""
    server: Annotated[Text, Field(min_length=1)] = ""
    knob: Annotated[Text, Field(min_length=1)]
    values: list[KnobValue] = Field(default_factory=list, max_length=VALUES_MAX)
    low: int | None = Field(None, alias="from", ge=-RANGE_MAX, le=RANGE_MAX)
    high: int | None = Field(None, alias="to", ge=-RANGE_MAX, le=RANGE_MAX)
    knobs: dict[Text, KnobValue] = Field(default_factory=dict, max_length=50)
    objective: Annotated[Text, Field(min_length=1)]
    scenario: Text | None = None
    plan: PlanSpec | None = None
    rounds: int = Field(QUICK_ROUNDS, ge=1, le=ROUNDS_MAX)
    seed: int | None = Field(None, ge=0, le=SEED_MAX, description="of the random order; null: a new one")
    label: Text | None = None


class AnnotationSpec(Spec):
    """Texts of a run that can be changed: `label`, `comment` (plain text) or both."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1})

    label: Text | None = None
    comment: Annotated[str, Field(max_length=TEXTS_MAX["comment"])] | None = None


class ImportSpec(Spec):
    """The output of another load tool: text of wrk, or summary JSON of oha or k6."""

    tool: Literal["wrk", "oha", "k6"]
    text: Annotated[str, Field(max_length=TOOL_OUTPUT_MAX)]
