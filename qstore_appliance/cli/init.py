"""`qstore init`: the first owner and operator, without a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any


async def init(appliance: Any, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    yield await appliance.accounts.create_owner(
        email=arguments["email"],
        password=arguments["password"],
        organization=arguments["organization"],
        name=arguments["name"],
    )


def _made(user: dict[str, Any], arguments: dict[str, Any]) -> None:
    print(f"{user['email']} owns {arguments['organization']} and operates this installation.")


SHOW = {"init": _made}
