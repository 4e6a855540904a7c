"""A10 to A13: guessing who is here, guessing passwords, and drowning the hasher in guesses."""

from __future__ import annotations

import statistics
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from qstore_appliance.errors import ValidationFailed
from qstore_appliance.services.passwords import check_password
from tests.acceptance.processes import Served
from tests.attacks.conftest import WIDE, Fortress, code, furnished, standing

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def fortress(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fortress]:
    """One that counts the failures of an account and an address as it does out of the box."""
    with standing(tmp_path_factory.mktemp("guessed") / "data", QSTORE_LIMITS__SIGN_IN_FAILURES="10") as found:
        yield found


@pytest.fixture(scope="module")
def owner(fortress: Fortress) -> Iterator[httpx.Client]:
    with fortress.client("owner") as client:
        yield client


@pytest.fixture(scope="module")
def anonymous(fortress: Fortress) -> Iterator[httpx.Client]:
    with fortress.client(None) as client:
        yield client


def sign_in(client: httpx.Client, email: str, password: str, **headers: str) -> httpx.Response:
    grant = {"grant_type": "password", "email": email, "password": password}
    return client.post("/v1/auth/token", json=grant, headers=headers)


def somebody() -> str:
    """An address that nobody has, so that failures of one test are not those of another."""
    return f"{uuid.uuid4().hex[:12]}@example.org"


SAME: dict[str, tuple[str, str]] = {
    "unknown": ("nobody@example.org", "wrong password"),
    "unknown domain": ("owner@elsewhere.example", "wrong password"),
    "the stranger's password": ("stranger@example.org", "wrong password"),
    "blank": ("viewer@example.org", " "),
    "password of 256": ("viewer@example.org", "x" * 256),
    "empty password": ("viewer@example.org", ""),
    "SQL": ("viewer@example.org' OR '1'='1", "x"),
    "wildcard": ("%@example.org", PASSWORD),
    "underscore": ("v_ewer@example.org", PASSWORD),
    "list of addresses": ("viewer@example.org,owner@example.org", PASSWORD),
    "another case of letters in the password": ("viewer@example.org", PASSWORD.upper()),
    "password with a blank behind": ("viewer@example.org", PASSWORD + " "),
}


@pytest.mark.attack("A10")
@pytest.mark.parametrize(("email", "password"), SAME.values(), ids=SAME)
def test_every_refusal_sounds_alike(anonymous: httpx.Client, email: str, password: str) -> None:
    """Wrong, unknown, malformed: the same status and the same words."""
    wrong, other = sign_in(anonymous, somebody(), "wrong password"), sign_in(anonymous, email, password)

    assert other.status_code == wrong.status_code == 401
    assert other.json()["error"] == wrong.json()["error"]


@pytest.mark.attack("A10")
def test_it_takes_as_long(
    anonymous: httpx.Client, record_property: Callable[[str, object], None], fortress: Fortress
) -> None:
    """The same work is done for a user that does not exist: the difference of the medians is reported."""
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    for _ in range(8):
        for kind, email in (("known", "developer@example.org"), ("unknown", somebody())):
            began = time.perf_counter()
            answer = sign_in(anonymous, email, "wrong password")
            times[kind].append(time.perf_counter() - began)
            assert answer.status_code == 401
    medians = {kind: 1000 * statistics.median(found) for kind, found in times.items()}

    # Without the dummy hash an unknown user is answered in a tenth of the time.
    assert medians["unknown"] > medians["known"] / 4
    record_property(
        "report",
        f"sign-in, median of 8: known user {medians['known']:.1f} ms, unknown user {medians['unknown']:.1f} ms",
    )


@pytest.mark.attack("A11")
@pytest.mark.parametrize("forged", ["nothing", "X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP"])
def test_guessing_one_account(anonymous: httpx.Client, forged: str) -> None:
    """The eleventh failure for an account from an address is 429 with Retry-After, whatever address is claimed."""
    email = somebody()
    answers = [
        sign_in(anonymous, email, "wrong", **({} if forged == "nothing" else {forged: f"192.0.2.{number}"}))
        for number in range(13)
    ]

    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 3
    assert int(answers[-1].headers["Retry-After"]) > 0


@pytest.mark.attack("A11")
@pytest.mark.parametrize(
    "spelling", [str.upper, str.title, lambda email: f"  {email} "], ids=["upper", "title", "blanks"]
)
def test_another_spelling_is_the_same_account(anonymous: httpx.Client, spelling: Callable[[str], str]) -> None:
    """Case and blanks around an address give no further guesses."""
    email = somebody()
    for number in range(10):
        sign_in(anonymous, spelling(email) if number % 2 else email, "wrong")

    assert sign_in(anonymous, spelling(email), "wrong").status_code == 429


@pytest.mark.attack("A11")
def test_fifty_guesses_at_once_are_fifty(fortress: Fortress) -> None:
    """Parallel guesses count before they are answered."""
    email = somebody()

    def guess(number: int) -> int:
        with fortress.client(None) as client:
            return sign_in(client, email, f"guess {number}").status_code

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(guess, range(50)))

    assert answers.count(401) <= 10
    assert set(answers) <= {401, 429}


@pytest.mark.attack("A11")
def test_the_victim_is_not_locked_out(fortress: Fortress) -> None:
    """Who guesses from elsewhere does not keep the account's owner out of it."""
    with fortress.client(None) as guesser:
        for _ in range(12):
            last = sign_in(guesser, "viewer@example.org", "wrong")
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.3")
    with httpx.Client(base_url=fortress.url, transport=elsewhere, timeout=60) as victim:
        answer = sign_in(victim, "viewer@example.org", PASSWORD)

    assert (last.status_code, answer.status_code) == (429, 200)


@pytest.mark.attack("A11")
def test_from_many_addresses_and_at_many_accounts(tmp_path: Path) -> None:
    """Spraying from one address and guessing one account from many are both stopped; where its owner was, they come in."""
    furnished(tmp_path / "data")
    limits = {"QSTORE_LIMITS__SIGN_IN_FAILURES_ADDRESS": "20", "QSTORE_LIMITS__SIGN_IN_FAILURES_ACCOUNT": "15"}
    server = Served(tmp_path / "data", **WIDE | limits)

    def at(address: str, email: str, password: str) -> int:
        transport = httpx.HTTPTransport(local_address=address)
        with httpx.Client(base_url=server.address, transport=transport, timeout=60) as client:
            return sign_in(client, email, password).status_code

    try:
        sprayed = [at("127.0.0.5", somebody(), "wrong") for _ in range(22)]
        home = at("127.0.0.6", "viewer@example.org", PASSWORD)
        guessed = [at(f"127.0.1.{number}", "viewer@example.org", "wrong") for number in range(1, 18)]

        assert sprayed == [401] * 20 + [429] * 2
        assert guessed == [401] * 15 + [429] * 2
        assert (home, at("127.0.0.6", "viewer@example.org", PASSWORD)) == (200, 200)
        assert at("127.0.2.1", "viewer@example.org", PASSWORD) == 429
    finally:
        server.stop()


@pytest.mark.attack("A12")
def test_a_flood_of_sign_ins(fortress: Fortress, owner: httpx.Client) -> None:
    """Of 150 sign-ins at once each is refused or told to come back; whoever is signed in is served meanwhile."""

    def attempt(number: int) -> int:
        with fortress.client(None) as client:
            return sign_in(client, somebody(), "x" * 200).status_code

    with ThreadPoolExecutor(75) as pool:
        attempts = [pool.submit(attempt, number) for number in range(150)]
        served = [owner.get("/v1/circuits").status_code for _ in range(5)]

    assert served == [200] * 5
    assert {one.result() for one in attempts} <= {401, 429}


@pytest.mark.attack("A12")
@pytest.mark.parametrize("length", [257, 10_000, 1_000_000])
def test_long_passwords_are_not_hashed(anonymous: httpx.Client, length: int) -> None:
    """Nothing longer than 256 characters reaches the hasher."""
    assert sign_in(anonymous, somebody(), "x" * length).status_code in (413, 422)


@pytest.mark.attack("A12")
@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC"])
def test_forms_of_unicode(anonymous: httpx.Client, form: str) -> None:
    """Another form of the same letters is an ordinary guess."""
    text = unicodedata.normalize(form, "paßwörd ﬁ Å")  # type: ignore[arg-type]

    assert sign_in(anonymous, somebody(), text).status_code == 401


GUESSED_FIRST = (
    *("password", "12345678", "qwertyuiop", "iloveyou", "password1", "sunshine", "football", "Password", "PASSWORD1"),
    *(
        "aaaaaaaa",
        "11111111",
        "abababab",
        "ada@example.org",
        "ADA@example.org",
        "Analytical",
        "        ",
        "short",
        "x" * 257,
    ),
)


@pytest.mark.attack("A13")
@pytest.mark.parametrize("password", GUESSED_FIRST)
def test_passwords_that_are_guessed_first(password: str) -> None:
    """Common ones, repeated letters, one's own name, too short, too long."""
    with pytest.raises(ValidationFailed):
        check_password(password, "ada@example.org", "Analytical")


@pytest.mark.attack("A13")
@pytest.mark.parametrize(
    "email", ["admin", "admin@example.com", "root@localhost", "admin@localhost", "qstore@localhost"]
)
def test_nobody_is_here_by_default(anonymous: httpx.Client, email: str) -> None:
    """There is no account that was not made."""
    for password in ("admin", "password", "qstore", ""):
        answer = sign_in(anonymous, email, password)
        assert answer.status_code == 401
        assert code(answer) == "UNAUTHENTICATED"
