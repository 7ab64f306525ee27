"""The one base of every error that a user of this package can cause."""

from __future__ import annotations


class S1Error(Exception):
    """Something outside the code is wrong: a setting, a file, a server, a model.

    The message is one line that says what is wrong and what to do. The command line prints it and
    ends with status 1. A notebook shows it without a traceback, which is also how the notebook
    runner tells it from a bug.
    """

    def _render_traceback_(self) -> list[str]:
        """The lines that IPython prints instead of a traceback."""
        return notebook_lines(type(self).__name__, str(self))


def notebook_lines(name: str, message: str) -> list[str]:
    """How a notebook shows an S1Error: `name` is its class."""
    return [f"{name}: {message}"]
