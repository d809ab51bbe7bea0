"""Limits of the verdict's rules and checks. Shares are 0 to 1."""

from __future__ import annotations

SAMPLES_MIN = 20  # with fewer samples of its threads' states, the utilisation of a role is unknown
ERRORS_MAX = 0.01
GENERATOR_CPU_MAX = 0.85
GENERATOR_WAIT_SHOWN = 0.05  # a shorter wait for a CPU is not worth mentioning
GENERATOR_WAIT_MAX = 0.25
RATE_RATIO_MIN = 0.99
OPEN_SATURATED_MIN = 0.90
CLOSED_SATURATED_MIN = 0.85
LITTLE_ERROR_MAX = 0.05
LITTLE_REQUESTS_MIN = 1000  # with fewer requests, the error of Little's law is mostly chance
