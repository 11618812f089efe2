"""How every stage and command runs: errors that a person can read. It needs typer alone."""

import os
import sys
from collections.abc import Callable

import typer

NO_MEMORY = (
    "memory ran out. End other programs, or lower train.batch or the size of the frames in "
    "params.yaml; then run the same command again"
)


def run(command: Callable[..., None]) -> None:
    """Run a stage or a command from the command line.

    An exception of the project's own, or of the operating system, is a message for the person at
    the keyboard: it is shown without a traceback, last and in red. Any other is a bug, and its
    traceback is wanted. A command that has ended well does not return: taking torch apart object by
    object would cost another second.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    try:
        app()
    except SystemExit as end:
        if end.code:
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    except Exception as error:
        ours = type(error).__module__.split(".")[0] in ("pipeline", "commands", "__main__")
        if not ours and not isinstance(error, OSError) and not _out_of_memory(error):
            raise
        message = NO_MEMORY if _out_of_memory(error) else str(error)
        typer.secho(f"error: {message}", fg="red", err=True)
        sys.exit(1)


def _out_of_memory(error: Exception) -> bool:
    # torch has an error of its own for a GPU and none for a CPU. It is not imported for this.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )
