"""Which lines of stderr say why an engine did not start."""

from __future__ import annotations

from app.fleet.failure_lines import failure_lines, last_exception

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


def test_lines_before_an_exception_at_the_end_are_left_out() -> None:
    said = ["shop.errors.ShopError: no such shop", "shop:app cannot be imported."]
    assert failure_lines([*WORKER, said[-1]]) == said


def test_a_log_without_an_exception_ends_with_its_last_lines() -> None:
    assert failure_lines(["1", "2", "3", "4"]) == ["2", "3", "4"]
    assert failure_lines([]) == []


def test_the_last_exception_of_a_log() -> None:
    assert last_exception([*WORKER, "ValueError", *MASTER]) == "ValueError"
    assert last_exception(MASTER) is None
