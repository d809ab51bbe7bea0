"""The lab that commands measure with: in this process, or a remote one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from app.cli.user_code import NOTHING, UserCode
from app.errors import Invalid

if TYPE_CHECKING:
    from app.report.export import Export
    from app.schemas.comparison import ComparisonView
    from app.schemas.experiment import ClaimView, ExperimentView
    from app.schemas.run import RunView
    from app.schemas.tuning import TuningView


class MeasuringLab(Protocol):
    """A lab that measures and shows the progress. Its methods block and raise LabError."""

    @property
    def stopped_by(self) -> int | None:
        """The first signal that stopped a run or comparison early; None: no signal did."""

    def available_models(self) -> list[str]:
        """Return the names of the available models. The others are named on stderr, with the reason."""

    def run(self, spec: Mapping[str, Any]) -> RunView:
        """Submit a run (`spec`: the fields of a `RunRequest`), and return it when it has ended."""

    def compare(self, spec: Mapping[str, Any]) -> ComparisonView:
        """Submit a comparison (`spec`: the fields of a `ComparisonRequest`); return it when it has ended."""

    def experiment(self, spec: Mapping[str, Any]) -> list[ExperimentView]:
        """Submit experiments (`spec`: an `ExperimentRequest`), and return them when all have ended."""

    def tune(self, spec: Mapping[str, Any]) -> TuningView:
        """Submit a tuning (`spec`: the fields of a `TuningRequest`), and return it when it has ended."""

    def resume_experiment(self, id: int) -> ExperimentView:
        """Continue an experiment that ended early, and return it when it has ended."""

    def claims(self) -> list[ClaimView]:
        """Return all claims with their last answers."""

    def get_run(self, id: int) -> RunView:
        """Return a run of the lab's history."""

    def export(self, export: Export, id: int) -> str:
        """Return an export of the run or comparison with this id."""


def opened(
    server: str | None,
    cluster: str | None = None,
    user_code: UserCode = NOTHING,
    plan: Mapping[str, Any] | None = None,
) -> AbstractContextManager[MeasuringLab]:
    """Return the lab at `server`, or without a server one that is open in this process during the block.

    `cluster`: the scheduler whose hosts that lab uses; None: as the environment says. `user_code`: what the
    lab is to start of the user's own, to be measured with `plan`. Raises Invalid.
    """
    if server:
        user_code.refuse_remote()
        if cluster:
            raise Invalid("--cluster is a setting of the lab at --server: start that lab with it.")
        from app.cli import remote

        return remote.opened(server)
    from app.cli import in_process

    return in_process.opened(user_code.from_shell(plan or {}), cluster)
