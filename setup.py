"""Lists the packages; everything else is declared in setup.cfg."""

from setuptools import find_packages, setup

FOLDERS = {"qstore_appliance": "qstore_appliance", "qstore_backends": "plugins/backends", "qstore_web": "web"}

setup(
    packages=[
        name
        for package, folder in FOLDERS.items()
        for name in (package, *(f"{package}.{room}" for room in find_packages(folder)))
    ]
)
