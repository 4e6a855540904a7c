"""What every table's row is: a Tortoise model whose source is not read when the process starts."""

from __future__ import annotations

from typing import Any

from tortoise.models import Model, ModelMeta


class _WithoutComments(ModelMeta):
    """
    Tortoise reads each model's source for comments that would describe its columns, which takes a server a tenth of the
    time until it is ready; this is how its own migrations leave that out.
    """

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> ModelMeta:
        return super().__new__(cls, name, bases, {**attributes, "_no_comments": True})


class Row(Model, metaclass=_WithoutComments):
    class Meta:
        abstract = True
