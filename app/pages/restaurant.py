"""The restaurant that retells pages: models, threads, requests and states in its words."""

from __future__ import annotations

from collections.abc import Mapping

MODELS: Mapping[str, str] = {
    "blocking": "A waiter for each table",
    "reactor": "One waiter, who also cooks",
    "reactor-pool": "One waiter, and cooks",
    "main-sub": "A host, and waiters",
    "proactor": "One cook at a hatch",
    "prefork": "Several kitchens",
}
ROLES: Mapping[str, str] = {
    "acceptor": "host",
    "connection": "waiter",
    "reactor": "waiter",
    "worker": "cook",
    "main": "host",
    "sub": "waiter",
    "proactor": "hatch",
    "master": "owner",
}
STATES: Mapping[str, str] = {
    "handling": "cooking",
    "slow": "slow dish",
    "reading": "taking the order",
    "writing": "serving",
    "waiting": "looking for raised hands",
    "queue": "waiting for a slip",
    "in-flight": "order, given to served",
}


def model_words(model: str, title: str) -> str:
    """Return what a model is in the restaurant, with the knobs of its title in brackets."""
    _, _, knobs = title.partition(", ")
    words = MODELS.get(model, title)
    return f"{words} ({knobs})" if knobs else words
