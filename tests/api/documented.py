"""Holds every answer that a test of the API gets against `/openapi.json`: its status and its code must be there."""

from __future__ import annotations

import functools
import re
from typing import Any

import httpx

from qstore_appliance.api.app import endpoints
from qstore_appliance.api.registry import Endpoint
from qstore_appliance.api.rest.refusals import refusals, route


@functools.cache
def patterns() -> list[tuple[Endpoint, re.Pattern[str], dict[int, list[str]]]]:
    # Those without a parameter first: `/v1/jobs/estimate` is no job.
    ordered = sorted(endpoints(), key=lambda endpoint: endpoint.path.count("{"))
    return [(one, re.compile(re.sub(r"{\w+}", r"[^/]+", one.path)), refusals(one)) for one in ordered]


async def documented(response: httpx.Response) -> None:
    """An event hook of httpx."""
    request = response.request
    method = "GET" if request.method == "HEAD" else request.method
    found = [one for one in patterns() if one[0].method == method and one[1].fullmatch(request.url.path)]
    if not found:
        return
    endpoint, _, refused = found[0]
    if response.status_code == 304 and endpoint.tagged:
        return
    if response.status_code == endpoint.status or (response.status_code == 503 and endpoint.path == "/ready"):
        return
    await response.aread()
    codes = refused.get(response.status_code, [])
    said = code_of(response) if request.method != "HEAD" else None
    assert codes, f"{route(endpoint)} answered {response.status_code} {said}, which /openapi.json does not know"
    assert said is None or said in codes, f"{route(endpoint)} answered {said}; /openapi.json has {codes}"


def code_of(response: httpx.Response) -> str | None:
    body: Any = response.json()
    if "errors" in body:
        return str(body["errors"][0]["extensions"]["code"])
    error = body["error"]
    return str(error["code"] if isinstance(error, dict) else error)
