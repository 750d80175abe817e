"""`python -m pilotlight`: the same command where the script is not on PATH."""

from pilotlight.cli import main

if __name__ == "__main__":
    main()
