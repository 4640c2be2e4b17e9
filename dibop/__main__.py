"""`python -m dibop` is the command `dibop`."""

from dibop.cli.main import run

if __name__ == "__main__":
    run()
