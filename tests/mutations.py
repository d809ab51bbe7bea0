"""Mutation test: do the tests detect twenty faults, put into a copy of the code one at a time?

    python -m tests.mutations [--only NAME …] [--deep]

For each fault, runs the tests concerned, then all of `make test`, then (with --deep) `make test-full`, until
one fails. Prints which test detected the fault. Exit code 1 if `make test` detects fewer than 18 of the
twenty. The copy has the last commit; the working tree is not changed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SURVIVORS_MAX = 2


@dataclass(frozen=True)
class Mutation:
    """One fault: a text of a file and its replacement, and the tests that should fail."""

    name: str
    file: str
    text: str
    fault: str
    tests: str  # paths under tests/, separated by spaces

    def apply(self, root: Path) -> None:
        file = root / self.file
        source = file.read_text()
        assert source.count(self.text) == 1, f"{self.name}: the text must occur exactly once in {self.file}"
        file.write_text(source.replace(self.text, self.fault))


MUTATIONS = (
    # Engines
    Mutation(
        "wrong status",
        "engines/common/handler.py",
        "self._count(early.status, row)\n",
        "early.status = 400\n            self._count(early.status, row)\n",
        "engines/http/test_http.py",
    ),
    Mutation(
        "scheme not checked",
        "engines/common/http/strict.py",
        'if absolute[1].lower() != b"http":',
        "if not absolute[1]:",
        "engines/http",
    ),
    Mutation(
        "lost counter",
        "engines/threaded_io/connection.py",
        "self.row.bytes_out += len(response)",
        "self.row.bytes_out += 0",
        "engines/board/test_board.py",
    ),
    Mutation(
        "trickling extends the deadline",
        "engines/common/connection_table.py",
        "if (self._words[connection.fd] & 0xFF) != state:",
        "if True:",
        "engines/test_bounds.py",
    ),
    Mutation(
        "idle connections are closed in a drain",
        "engines/common/connection_table.py",
        "(self.is_idle(connection) and not connection.has_unread())",
        "self.is_idle(connection)",
        "engines/process/test_drain.py",
    ),
    Mutation(
        "main-sub assigns all connections to the first",
        "engines/main_sub.py",
        "sub = next(self.next_sub) if round_robin",
        "sub = self.subs[0] if round_robin",
        "engines/test_thread_models.py",
    ),
    Mutation(
        "two workers answer one connection",
        "engines/common/worker_pool.py",
        "return lock.acquire(False)",
        "return lock.acquire(False) or True",
        "engines/http/test_http.py engines/test_thread_models.py",
    ),
    Mutation(
        "a killed worker process is not replaced",
        "engines/prefork_io/worker_process.py",
        "            self._start(process.index)\n",
        "",
        "engines/prefork_io/test_prefork.py",
    ),
    # Load
    Mutation(
        "swapped percentiles",
        "app/load/protocol/histogram.py",
        "return Percentiles(count, p50, p90, p99, p999,",
        "return Percentiles(count, p50, p99, p90, p999,",
        "load app/runs/test_runs.py",
    ),
    Mutation(
        "response time from the actual send",
        "app/load/executors/open_model.py",
        "kind.response_us.append((now - connection.intended_at) // 1000)",
        "kind.response_us.append((now - connection.sent_at) // 1000)",
        "load",
    ),
    Mutation(
        "late sends are not counted",
        "app/load/executors/open_model.py",
        "dispatcher.waited += 1\n",
        "dispatcher.waited += 0\n",
        "load",
    ),
    # Lab
    Mutation(
        "a stopped run is ranked",
        "app/results/fitness.py",
        '(e.stopped, "The run was stopped early.")',
        '(False, "The run was stopped early.")',
        "app/results/test_fitness.py app/runs/test_runs.py",
    ),
    Mutation(
        "ten percent of errors are accepted",
        "app/results/verdict.py",
        "if e.errors / total <= ERRORS_MAX:",
        "if e.errors / total <= 0.1:",
        "app/results/test_verdict.py",
    ),
    Mutation(
        "unknown thresholds hold",
        "app/results/threshold_check.py",
        "breached = value is None or not",
        "breached = value is not None and not",
        "app/plans/test_thresholds.py",
    ),
    Mutation(
        "the order of a round is not random",
        "app/rounds/schedule.py",
        'random.Random(f"{self.seed}/{len(self.ended) + len(self.open)}").shuffle(entries)',
        "pass",
        "app/rounds/test_schedule.py",
    ),
    Mutation(
        "no CSRF check",
        "app/web/security.py",
        "if changes_state(scope) and (refusal := check_origin(headers, host)):",
        "if False:",
        "app/web/test_security.py",
    ),
    Mutation(
        "WebSocket without a token",
        "app/web/security.py",
        "refusal = refusal or self._check_token(scope, headers)\n            return",
        "return",
        "app/web/test_authentication.py",
    ),
    # Pages and exports
    Mutation(
        "a run's page does not become its result",
        "static/js/pages/run.js",
        "function arrange() {\n",
        "function arrange() {\n  return;\n",
        "browser/test_workbench.py browser/test_run_page.py",
    ),
    Mutation(
        "formulas in CSV",
        "app/report/series_csv.py",
        "if isinstance(value, str) else value",
        "if False else value",
        "app/report/test_exports.py app/history/test_history.py",
    ),
    Mutation(
        "JUnit hides a breach",
        "app/report/junit.py",
        "    if threshold.breached:\n",
        "    if not threshold.breached:\n",
        "app/report/test_exports.py",
    ),
)


class Copy:
    """A clone of the last commit in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self._git("clone", "--quiet", "--shared", str(ROOT), str(folder), at=ROOT)

    def _git(self, *command: str, at: Path | None = None) -> None:
        subprocess.run(["git", *command], cwd=at or self.root, check=True)

    def restore(self) -> None:
        self._git("checkout", "--quiet", "--", ".")

    def first_failure(self, tests: Sequence[str], *options: str) -> str | None:
        """Return the first test that fails, or None if all pass."""
        command = [sys.executable, "-m", "pytest", "-x", "-n", "4", "--dist", "worksteal", *options, *tests]
        environment = {**os.environ, "PYTHONPATH": str(self.root)}  # also for the labs that the tests start
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True)
        if done.returncode == 0:
            return None
        found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
        return found[1] if found else f"exit code {done.returncode}: {done.stdout[-300:]}"


def caught_by(copy: Copy, mutation: Mutation, deep: bool) -> tuple[str, str | None]:
    """Return the tier that detected the fault, and the test."""
    mutation.apply(copy.root)
    try:
        concerned = [f"tests/{path}" for path in mutation.tests.split()]
        if failed := copy.first_failure(concerned) or copy.first_failure([]):
            return "make test", failed
        if deep and (failed := copy.first_failure([], "-m", "full")):
            return "make test-full", failed
        return "none", None
    finally:
        copy.restore()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these faults")
    parser.add_argument(
        "--deep", action="store_true", help="run make test-full for faults that make test does not detect"
    )
    args = parser.parse_args()
    chosen = [mutation for mutation in MUTATIONS if not args.only or mutation.name in args.only]
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder) / "copy")
        for mutation in chosen:
            tier, failed = caught_by(copy, mutation, args.deep)
            survivors += tier != "make test"
            sys.stdout.write(f"{mutation.name}: {tier}{f', {failed}' if failed else ''}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(chosen) - survivors} of {len(chosen)} faults are detected by make test\n")
    return 1 if survivors > SURVIVORS_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
