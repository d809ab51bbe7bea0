"""The exit codes of all commands. Programs rely on them."""

from __future__ import annotations

OK = 0
FAILED = 1  # could not run, or a result could not be written
BAD_ARGUMENTS = 2
BREACHED = 3  # a threshold or an expectation was not met
NO_ANSWER = 4  # a comparison without a ranking, or experiments or a tuning without an answer
SIGNALLED = 128  # plus the number of the signal: 129 HUP, 130 INT, 143 TERM
