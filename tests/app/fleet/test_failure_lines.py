"""Which lines of stderr say why an engine did not start."""

from __future__ import annotations

from app.fleet.engine import failure_lines

WORKER = [
    "Traceback (most recent call last):",
    '  File "shop.py", line 1, in <module>',
    "    import nowhere",
    "    ^^^^^^^^^^^^^^",
    "shop.errors.ShopError: no such shop",
]
MASTER = ["Worker (pid:7) exited with code 3.", "Shutting down: Master", "Reason: Worker failed to boot."]


def test_the_exception_of_a_worker_comes_before_the_last_lines() -> None:
    assert failure_lines(WORKER + MASTER) == ["shop.errors.ShopError: no such shop", *MASTER]


def test_an_exception_among_the_last_lines_is_not_repeated() -> None:
    said = ["import nowhere", "shop.errors.ShopError: no such shop", "shop:app cannot be imported"]
    assert failure_lines([*WORKER, said[-1]]) == said


def test_a_log_without_an_exception_ends_with_its_last_lines() -> None:
    assert failure_lines(["1", "2", "3", "4"]) == ["2", "3", "4"]
    assert failure_lines([]) == []
