"""Answers become values; what is new is passed over, what is missing is told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from qstore_client import types
from qstore_client.arrays import encoded, rows
from qstore_client.bodies import at
from qstore_client.decoding import decode, parse_time
from qstore_client.errors import APIError, NotFound, UnexpectedAnswer, api_error
from qstore_client.retries import pause_after
from qstore_client.sse import Reader


def test_fields_of_a_newer_server_are_passed_over() -> None:
    """An update of the server breaks no client."""
    assert decode(types.Health, {"status": "ok", "colour": "green"}) == types.Health(status="ok")


def test_what_is_missing_is_named() -> None:
    """An older server, or something else altogether, is told by the field that is not there."""
    with pytest.raises(UnexpectedAnswer, match="access_token is missing"):
        decode(types.Tokens, {"token_type": "Bearer"})
    with pytest.raises(UnexpectedAnswer, match="expected dict, got list"):
        decode(types.Tokens, [])
    with pytest.raises(UnexpectedAnswer, match=r"Health\.status: expected str, got bool"):
        decode(types.Health, {"status": True})


def test_words_that_python_keeps_for_itself() -> None:
    """`class` of a prediction is `class_`."""
    answer = decode(types.Prediction, {"class": 3, "label": "3", "probabilities": [1, 0.0]})

    assert (answer.class_, answer.label, answer.probabilities) == (3, "3", [1.0, 0.0])


@pytest.mark.parametrize(
    "text", ["2026-03-14T09:26:53Z", "2026-03-14T09:26:53.0000001Z", "2026-03-14T10:26:53.000+01:00"]
)
def test_times(text: str) -> None:
    """RFC 3339 with any fraction and zone, as Python 3.10 does not read it by itself."""
    assert parse_time(text) == datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)


def test_codes_become_classes() -> None:
    """A known code is its class, an unknown one is an APIError with that code."""
    assert isinstance(api_error({"code": "NOT_FOUND", "message": "No job."}), NotFound)
    strange = api_error({"code": "NEW", "message": "?"}, status=418)
    assert (type(strange), strange.code, strange.status) == (APIError, "NEW", 418)


def test_what_is_tried_again() -> None:
    """Busy servers and empty buckets are, as they ask; refusals are not."""

    def after(code: str, retry_after: float | None = None) -> float | None:
        return pause_after(api_error({"code": code, "message": ""}, retry_after=retry_after), 0, 60.0)

    assert after("RATE_LIMITED", 7) == 7
    assert after("RATE_LIMITED", 61) is None
    assert 0 < (after("UNAVAILABLE") or 0) <= 0.5
    assert after("CONFLICT", 1) == 1
    for code in ("CONFLICT", "NOT_FOUND", "VALIDATION_ERROR", "BUDGET_EXCEEDED", "INTERNAL", "BACKEND_UNAVAILABLE"):
        assert after(code) is None, code


def test_ids_lead_nowhere_else() -> None:
    """An id with a slash in it is no other address."""
    assert at("/v1/jobs", "../users/me?x=#", "cancel") == "/v1/jobs/..%2Fusers%2Fme%3Fx%3D%23/cancel"
    for id in ("", ".", ".."):
        with pytest.raises(ValueError, match="no id"):
            at("/v1/jobs", id)


def test_bodies_of_arrays() -> None:
    """numpy's numbers, arrays and times are written as what they mean; NaN is refused before it is sent."""
    import numpy as np

    assert encoded({"a": np.float64(0.5), "b": np.arange(2), "c": datetime(2026, 1, 1, tzinfo=UTC)}) == (
        b'{"a":0.5,"b":[0,1],"c":"2026-01-01T00:00:00+00:00"}'
    )
    with pytest.raises(ValueError, match="JSON"):
        encoded({"a": float("nan")})
    assert rows(np.ones((2, 2, 2))) == [[1.0] * 4] * 2
    assert rows([np.ones(2), (1, 2)]) == [[1.0, 1.0], [1, 2]]
    with pytest.raises(ValueError, match="two dimensions"):
        rows(np.ones(4))


def test_server_sent_events() -> None:
    """Comments say nothing, ids stay, data of several lines is one."""
    reader = Reader()
    found = [
        reader.feed(line) for line in (": hello", "", "id: 7", "event: log", "data: a", "data:b", "", "data: c", "")
    ]

    assert [(one.event, one.id, one.data) for one in found if one] == [("log", "7", "a\nb"), ("message", "7", "c")]
