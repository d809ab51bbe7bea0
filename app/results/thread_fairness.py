"""How evenly the threads of a role share the requests of the measured window. Pure."""

from __future__ import annotations

from collections import defaultdict

from app.load.protocol.connection_requests import ConnectionRequests
from app.results.observation import Observation
from engines.common.board.board import REQUESTS_2XX, REQUESTS_4XX, REQUESTS_5XX

RESPONSES = (REQUESTS_2XX, REQUESTS_4XX, REQUESTS_5XX)


def fairness_by_role(observation: Observation) -> dict[str, float]:
    """Return Jain's index of the responses of each thread, by role.

    Only of roles with several threads that were there in the whole window, and that sent responses.
    """
    if observation.first is None or observation.last is None:
        return {}
    before = {(each.slot, each.generation): each.counters for each in observation.first.board.threads}
    responses: defaultdict[str, list[int]] = defaultdict(list)
    for thread in observation.last.board.threads:
        then = before.get((thread.slot, thread.generation))
        if then and thread.counters:
            responses[thread.role].append(sum(thread.counters[i] - then[i] for i in RESPONSES))
    found = {role: ConnectionRequests.of(each).jain for role, each in responses.items() if len(each) > 1}
    return {role: index for role, index in found.items() if index is not None}
