"""The process of ``bench`` and of ``python -m bench``: signals and privileges, then the command."""

import sys

from bench.base import signals


def main() -> int:
    with signals.exiting():  # a Ctrl-C may come while the rest is imported, a tenth of a second
        from bench import cli
        from bench.base.exit_codes import ExitCode
        from bench.system import privileges

        code = cli.main(first=privileges.settle)
        return signals.die() if code == ExitCode.INTERRUPTED else code


if __name__ == "__main__":
    sys.exit(main())
