"""Tests. A package of its own name, because a dependency installs a top-level folder called `tests`."""
