"""The program: `chatkeep`, and `python -m chatkeep`."""

from __future__ import annotations

import gc

_OBJECTS = 20_000  # made anew before Python looks for cycles among them; its own 700 looks dozens of times at the start


def main() -> None:
    """Run the command line and end the process with its exit code.

    What is loaded stays until the end, and the end of the process frees it: looking through it for cycles, at the start
    and once more while the interpreter is taken apart, took a fifth of the time of a search.
    """
    gc.set_threshold(_OBJECTS)
    from chatkeep.cli import main as run

    try:
        run()
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
