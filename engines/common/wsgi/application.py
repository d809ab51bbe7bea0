"""Finds the user's application: `module:callable`, searched in a directory."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from engines.common.log import log

StartResponse = Callable[..., Callable[[bytes], object]]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class CannotLoad(Exception):
    """The application cannot be imported, or it is not callable. The message names it and the reason."""

    def report(self) -> None:
        """Write the traceback of the user's code and the message to stderr."""
        if self.__cause__:
            log("".join(traceback.format_exception(self.__cause__)))
        log(f"{self}\n")


@dataclass(frozen=True, slots=True)
class ApplicationSpec:
    """Where the application is. `name`: `module:callable`. `directory`: is searched first, and becomes the
    working directory.
    """

    name: str
    directory: str = "."

    def load(self) -> Application:
        """Import the application. Runs code of the user. Raises CannotLoad."""
        module, _, attribute = self.name.partition(":")
        if not (module and attribute):
            raise CannotLoad(f"{self.name} is not an application: write module:callable.")
        try:
            os.chdir(self.directory)
            sys.path.insert(0, str(Path.cwd()))
            found = reduce(getattr, attribute.split("."), importlib.import_module(module))
        except (Exception, SystemExit) as error:
            raise CannotLoad(f"{self.name} cannot be imported.") from error
        if not callable(found):
            raise CannotLoad(f"{self.name} is not callable, so it is not a WSGI application.")
        application: Application = found
        return application
