"""`python -m pymyx`: the same as `pymyx`."""

from pymyx.cli import main

if __name__ == "__main__":
    main()
