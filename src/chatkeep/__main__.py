"""`python -m chatkeep` is the command line."""

from chatkeep.cli import main

if __name__ == "__main__":
    main()
