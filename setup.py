"""Lists the packages, and packs the clients that the server offers; everything else is declared in setup.cfg."""

import subprocess
import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

FOLDERS = {"qstore_appliance": "qstore_appliance", "qstore_backends": "plugins/backends", "qstore_web": "web"}
ROOT = Path(__file__).resolve().parent


class BuildWithClients(build_py):
    """An installation from the wheel has the clients too; a checkout gets them from scripts/setup."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib).resolve() / "qstore_web" / "downloads"
            subprocess.run([sys.executable, ROOT / "scripts" / "downloads", target], check=True)


setup(
    cmdclass={"build_py": BuildWithClients},
    packages=[
        name
        for package, folder in FOLDERS.items()
        for name in (package, *(f"{package}.{room}" for room in find_packages(folder)))
    ],
)
