"""Entry point of ``fairlead`` and ``python -m fairlead``."""

import sys

from fairlead import cli


def main() -> None:
    """Run the command line of this process."""
    sys.exit(cli.main(sys.argv[1:]))


if __name__ == "__main__":
    main()
