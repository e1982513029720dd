"""`python -m pymyx`: the same as `pymyx`."""

if __name__ == "__main__":
    from pymyx.cli.main import main

    main()
