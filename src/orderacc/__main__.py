"""`python -m orderacc` is `orderacc`."""

from orderacc.cli import main

if __name__ == "__main__":
    main()
