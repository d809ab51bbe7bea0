"""What clients may ask for. Unknown fields are refused; bounds are the lab's, so that page and shell have them too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from app.imports.parsers import TEXT_MAX as FOREIGN_MAX
from app.plans.fields import FIELDS, FieldKind, PlanField
from app.plans.thresholds import THRESHOLDS_MAX
from app.plans.validate import STAGES_MAX, WORKS_MAX

TEXT_MAX = 200  # characters of a text, where nothing else is said
Text = Annotated[str, Field(max_length=TEXT_MAX)]


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > TEXT_MAX:
        raise ValueError(f"a knob's value is at most {TEXT_MAX} characters")
    return value


# Held against its knob by the lab, which says it better than a union of types could.
_KNOB_VALUE = {"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": TEXT_MAX}]}
KnobValue = Annotated[Any, AfterValidator(_short), WithJsonSchema(_KNOB_VALUE)]


class Spec(BaseModel):
    """Refuses fields that it does not know."""

    model_config = ConfigDict(extra="forbid")


class EngineSpec(Spec):
    """An engine to start. `port` 0 takes a free one; `cpus` pins it."""

    model: Text
    knobs: dict[Text, KnobValue] = Field(default_factory=dict, max_length=50)
    port: int = Field(0, ge=0, le=65535)
    cpus: list[Annotated[int, Field(ge=0, le=4096)]] | None = Field(None, max_length=1024)


class WorkSpec(Spec):
    """A kind of request in the mix. `params`: cpu and hash `us`, sleep `ms`, bytes and echo `n`."""

    kind: Text
    weight: int = 1
    params: dict[Text, int] = Field(default_factory=dict, max_length=8)


class StageSpec(Spec):
    """A part of a ramp: in `duration_s` in a straight line to `target` (connections, or requests a second)."""

    duration_s: float
    target: float


def _plan_type(each: PlanField) -> Any:
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
    return Text | None


def _plan_field(each: PlanField) -> Any:
    """Bounds are checked by the lab, which knows the limits of this machine."""
    if each.kind in (FieldKind.WORK, FieldKind.STAGES):
        return _plan_type(each), Field(default_factory=list, description=each.help)
    return _plan_type(each), Field(each.default, description=each.help)


if TYPE_CHECKING:
    PlanSpec = Spec
else:
    PlanSpec = create_model(
        "PlanSpec",
        __base__=Spec,
        __doc__="The load to offer. What is left out is the scenario's, or the default.",
        **{each.name: _plan_field(each) for each in FIELDS},
    )


class ModelSpec(Spec):
    """A model with knobs of its own."""

    model: Annotated[Text, Field(min_length=1)]
    knobs: dict[Text, KnobValue] = Field(default_factory=dict, max_length=50)


class RunSpec(Spec):
    """A run to queue: against `engine` (an id), or against a fresh engine of `model` with `knobs`; the models
    in `then` take over from it in turn, on the same port and with the load on. Or one against each of `engines` (ids),
    all at once; they share the machine and are never ranked."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [{"required": ["engine"]}, {"required": ["model"]}, {"required": ["engines"]}]
        },
    )

    engine: Annotated[Text, Field(min_length=1)] = ""
    model: Annotated[Text, Field(min_length=1)] = ""
    engines: list[Text] = Field(default_factory=list, max_length=5)
    knobs: dict[Text, KnobValue] = Field(default_factory=dict, max_length=50)
    then: list[ModelSpec] = Field(default_factory=list, max_length=5)
    scenario: Text | None = None
    plan: PlanSpec | None = None
    thresholds: list[Text] = Field(default_factory=list, max_length=THRESHOLDS_MAX)
    label: Text | None = None


class ComparisonSpec(Spec):
    """Models under one plan, in turns; one may be there several times. Without a load, that of the view's scenario."""

    models: list[Text | ModelSpec] = Field(min_length=1, max_length=12)
    view: Literal["ceiling", "equal-rate"] | None = None
    trials: int = Field(1, ge=1, le=10)
    scenario: Text | None = None
    plan: PlanSpec | None = None
    thresholds: list[Text] = Field(default_factory=list, max_length=THRESHOLDS_MAX)
    label: Text | None = None


class LabelSpec(Spec):
    """A note that is kept with a run."""

    label: Text | None


class ForeignSpec(Spec):
    """What another load tool wrote: wrk's text, or the summary JSON of oha or k6."""

    tool: Literal["wrk", "oha", "k6"]
    text: Annotated[str, Field(max_length=FOREIGN_MAX)]
