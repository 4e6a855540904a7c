"""`qstore`, and `python -m qstore_appliance`."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb of the command line; answers its exit code and never raises."""
    # Imported here: a forkserver that imports this file again, under its own name, must get nothing for it.
    from qstore_appliance.cli.entry import run

    return run(list(sys.argv[1:] if argv is None else argv))


if __name__ == "__main__":
    sys.exit(main())
