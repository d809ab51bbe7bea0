"""A round on another host, as the lab sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.cluster import WHOLE_HOST, tasks
from app.cluster.link import Link
from app.cluster.remote_task import Member, RemoteTask
from app.errors import Invalid, NotNow
from app.hosts.port import HostLost, HostRun


class RemoteRound:
    """The runs of a round on a host of the cluster. Satisfies `HostRound`."""

    def __init__(self, task: RemoteTask) -> None:
        self._task = task
        self.ended_runs = 0

    @classmethod
    def submit(
        cls,
        link: Link,
        member: Member,
        requests: Sequence[Mapping[str, Any]],
        limits: Mapping[str, Any],
        title: str,
        is_there: Callable[[], bool],
    ) -> RemoteRound:
        """Start a round on a host: there and nowhere else, and once. It waits for one of another lab there.

        `is_there`: returns whether the host is still in the cluster.
        """
        task = RemoteTask(link, member, "round", may_wait=True, is_there=is_there)
        of_round = cls(task)
        resources = {WHOLE_HOST: 1.0}
        arguments = (list(requests), dict(limits), title)
        task.submit(tasks.run_round, *arguments, resources=resources, on_message=of_round.on_message)
        return of_round

    async def result(self) -> tuple[HostRun, ...]:
        """Return its runs when all have ended.

        Raises NotNow if the host refuses a run, as every other host would. Raises HostLost for any other
        failure, which may be that of the host.
        """
        await self._task.ended
        if isinstance(self._task.error, Invalid):
            raise NotNow(f"A round {self._task.failure}")
        if self._task.failure:
            raise HostLost(f"A round {self._task.failure}")
        return tuple(HostRun(each["view"], each["outcome"], each["series"]) for each in self._task.result)

    async def close(self) -> None:
        """Forget the round; the host stops it if it has not ended."""
        self._task.close()

    def on_message(self, message: Mapping[str, Any]) -> None:
        """Keep how many runs have ended."""
        self.ended_runs = int(message["ended"])
