"""`qstore restore`: a backup in the place of what a data directory holds. Never while a server has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qstore_appliance.cli.serve import refuse_if_in_use
from qstore_appliance.errors import Refused
from qstore_appliance.settings import Settings


def run(settings: Settings, arguments: dict[str, Any]) -> int:
    """
    Raises:
        Refused: Nobody said yes, or the file is no backup of this or an older version.
        DataDirectoryInUse: A server has the data directory.
    """
    if not arguments["yes"]:
        raise Refused(f"This replaces what is in {settings.data_dir}; say so with --yes.")
    refuse_if_in_use(settings)

    from qstore_appliance.maintenance import restore

    done = restore.put_back(settings, Path(arguments["input"]))
    print(f"The backup of {done.created_at} (Q-Store {done.version}) is in {settings.data_dir}: {done.files} files.")
    if done.migrated:
        print(f"Its database was brought to this version: {', '.join(done.migrated)}.")
    if done.missing:
        print(f"{done.missing} blobs had been lost before the backup was made.")
    print(f"What was there before is in {done.kept}; delete it when you need it no more.")
    return 0
