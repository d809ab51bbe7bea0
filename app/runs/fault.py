"""A fault in the lab's own code fails the job that met it, and not those that wait behind it."""

from __future__ import annotations

import asyncio


def report(error: Exception, job: str) -> str:
    """Log an unexpected exception with its traceback. Returns the sentence with which `job` fails."""
    asyncio.get_running_loop().call_exception_handler(
        {"message": f"{job}: unexpected error", "exception": error}
    )
    return f"The lab itself has a fault: {type(error).__name__}: {error}. Its log has the traceback."
