"""`threadlab token`: makes an access token."""

from __future__ import annotations

import sys

import typer

from app.cli.exit_codes import OK
from app.cli.help import Command


def register(app: typer.Typer, panel: str) -> None:
    """Add the command to `app`."""
    app.command(cls=Command, rich_help_panel=panel)(token)


def token() -> int:
    """Print a new access token, for THREADLAB_TOKEN."""
    from app.web.authentication import new_token

    sys.stdout.write(f"{new_token()}\n")
    return OK
