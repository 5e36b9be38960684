"""The process of ``bench`` and of ``python -m bench``: signals and privileges, then the command."""

import sys

from bench.base import signals


def main() -> int:
    with signals.exiting():  # a Ctrl-C may come while the rest is imported, a tenth of a second
        from bench import cli
        from bench.system import privileges

        return cli.main(first=privileges.settle)


if __name__ == "__main__":
    sys.exit(main())
