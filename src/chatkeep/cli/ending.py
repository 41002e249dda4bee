"""How a command ends: its exit code, and errors as what happened and what to do, never as a traceback."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click

from chatkeep.errors import ChatkeepError, WrongUse

DONE, FAILED, WRONG_USE, PROBLEMS = 0, 1, 2, 3
INTERRUPTED = 130


def run(command: click.Command, arguments: list[str] | None = None) -> int:
    """Run a command and give its exit code. What went wrong is told on standard error."""
    given = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in given
    _open_what_is_closed()
    try:
        code = command.main(given, prog_name="chatkeep", standalone_mode=False)
    except ChatkeepError as error:
        _tell(type(error).__name__, error.what, error.hint, as_json=as_json)
        return WRONG_USE if isinstance(error, WrongUse) else FAILED
    except (click.Abort, KeyboardInterrupt):
        _tell("Stopped", "Stopped.", "What was finished is kept; run the same command again to go on.", as_json=as_json)
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return WRONG_USE
    except click.UsageError as error:
        hint = f"See: {error.ctx.command_path} --help" if error.ctx else ""
        _tell("WrongUse", error.format_message(), hint, as_json=as_json)
        return WRONG_USE
    except click.ClickException as error:
        _tell(type(error).__name__, error.format_message(), "", as_json=as_json)
        return error.exit_code
    except BrokenPipeError:
        _let_go_of_output()
        return FAILED
    except Exception as error:
        return _unexpected(error, as_json)
    return code if isinstance(code, int) else DONE


def _unexpected(error: Exception, as_json: bool) -> int:
    if os.environ.get("CHATKEEP_LOG_LEVEL", "").lower() == "debug":
        raise error
    what, hint = f"Something went wrong that should not ({type(error).__name__}).", "Please report it."
    if isinstance(error, OSError) and error.strerror:
        of = f" of {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) and error.filename else ""
        what, hint = f"The system says{of}: {error.strerror}.", "Check the disk and its free space, then run it again."
    elif (said := _of_database(error)) is not None:
        what, hint = said
    elif isinstance(error, MemoryError):
        what, hint = "The machine ran out of memory.", "Close other programs and run it again."
    else:
        hint += " CHATKEEP_LOG_LEVEL=debug shows where it happened."
    _tell(type(error).__name__, what, hint, as_json=as_json)
    return FAILED


# By the first byte of the number that SQLite gives. Source: https://www.sqlite.org/rescode.html, seen 2026-11.
_DATABASE = {
    8: ("The data folder cannot be written.", "See whose it is, and whether its disk may be written."),
    10: ("The disk of the data folder could not be read or written.", "Check the disk and its free space."),
    11: ("A database in the data folder is damaged.", '"chatkeep doctor" says more; a backup gives everything back.'),
    13: ("The disk of the data folder is full.", "Free some space there, then run the same command again."),
    14: ("A database in the data folder cannot be opened.", "See whose the folder is, and how much space is free."),
    26: ("A file in the data folder is no database.", '"chatkeep doctor" says more; a backup gives everything back.'),
}


def _of_database(error: BaseException) -> tuple[str, str] | None:
    """What SQLite says is wrong, and what to do; None when it is not about the disk. Django wraps its errors."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return _of_database(error.__cause__) if error.__cause__ is not None else None
    return _DATABASE.get(code & 0xFF)


def _tell(kind: str, what: str, hint: str, *, as_json: bool) -> None:
    from chatkeep.cli.output import printable

    what = what if what.endswith((".", "!", "?", ":")) else what + "."
    if as_json:
        value: dict[str, Any] = {"error": kind, "what": what, "hint": hint}
        click.echo(json.dumps(value, ensure_ascii=False), err=True)
        return
    click.echo(printable(what), err=True)
    if hint:
        click.echo(printable(hint), err=True)


def _open_what_is_closed() -> None:
    """Whoever closed our output (`>&-`) wants to see nothing; Python then has no stream at all."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))


def _let_go_of_output() -> None:
    """The reader of our output has gone (`| head`): nothing more is written, also not at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
