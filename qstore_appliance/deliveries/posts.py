"""HTTP to a receiver: one request to the address that the guard has checked, in a few seconds, without redirects."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING

from qstore_appliance.deliveries import NotDelivered
from qstore_appliance.deliveries.receivers import Receivers, Target
from qstore_appliance.errors import WebhookForbidden

if TYPE_CHECKING:
    import httpx

#: From the look at the name to the status of the answer.
TOTAL_SECONDS = 5.0
#: A name with several addresses is tried at the next one after so long.
CONNECT_SECONDS = 2.0
#: So much of an answer is taken off the wire, as it comes and never unpacked; a receiver that is cut off in the middle
#: may think that it has failed.
MAX_BYTES = 65_536
LINGER_SECONDS = 1.0
#: Of a name with more addresses than these, the others are not tried.
MAX_ADDRESSES = 3


class Posts:
    """
    Args:
        authority: PEM file of a further authority that receivers' certificates may come from.
    """

    def __init__(self, receivers: Receivers, authority: str = "") -> None:
        self._receivers = receivers
        self._authority = authority
        self._trust: ssl.SSLContext | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """
        Deliver; the status decides, and nothing that the receiver says is kept.

        Raises:
            NotDelivered: The address may not be called, nobody answers there, or the answer is not 2xx.
        """
        try:
            async with asyncio.timeout(TOTAL_SECONDS) as limit:
                target = await self._receivers.target(url)
                status = await self._sent(target, body, headers, limit)
        except WebhookForbidden as error:
            raise NotDelivered(error.message) from error
        except TimeoutError as error:
            raise NotDelivered(f"The receiver did not answer within {TOTAL_SECONDS:g} seconds.") from error
        if 300 <= status < 400:
            raise NotDelivered(f"The receiver answered {status}; redirects are not followed.")
        if not 200 <= status < 300:
            raise NotDelivered(f"The receiver answered {status}.", final=status == 410)

    async def _sent(self, target: Target, body: bytes, headers: Mapping[str, str], limit: asyncio.Timeout) -> int:
        """The status of the answer of the first address that can be connected to."""
        # Here, since a server that never sends anything shall not wait for it when it starts.
        import httpx

        if self._trust is None:
            self._trust = await asyncio.to_thread(self._load)
        timeout = httpx.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS)
        # Without `trust_env` no proxy of the environment stands between the check and the connection.
        async with httpx.AsyncClient(
            verify=self._trust, trust_env=False, follow_redirects=False, timeout=timeout
        ) as client:
            addresses = target.addresses[:MAX_ADDRESSES]
            for address in addresses:
                place = f"[{address}]" if address.version == 6 else str(address)
                request = client.build_request(
                    "POST",
                    f"{target.scheme}://{place}:{target.port}{target.path}",
                    content=body,
                    headers={**headers, "Host": target.authority, "User-Agent": "Q-Store"},
                    # The certificate has to be the name's, not the address's.
                    extensions={"sni_hostname": target.host},
                )
                try:
                    return await _status(client, request, limit)
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                    if address == addresses[-1]:
                        raise NotDelivered(_unreached(error)) from error
                except httpx.TimeoutException as error:
                    raise TimeoutError from error
                except httpx.ProtocolError as error:
                    raise NotDelivered("What the receiver answered is not HTTP, or breaks off.") from error
                except httpx.HTTPError as error:
                    raise NotDelivered("The receiver broke the connection off.") from error
        raise NotDelivered(f"{target.host} has no address.")

    def _load(self) -> ssl.SSLContext:
        import httpx

        context = httpx.create_ssl_context(trust_env=False)
        if self._authority:
            context.load_verify_locations(cafile=self._authority)
        return context


async def _status(client: httpx.AsyncClient, request: httpx.Request, limit: asyncio.Timeout) -> int:
    import httpx

    response = await client.send(request, stream=True)
    # Whether the receiver has the message is decided by now; how its answer ends changes nothing.
    limit.reschedule(None)
    try:
        taken = 0
        with contextlib.suppress(httpx.HTTPError, TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                async for part in response.aiter_raw():
                    taken += len(part)
                    if taken > MAX_BYTES:
                        break
    finally:
        await response.aclose()
    return response.status_code


def _unreached(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "The receiver's certificate is not valid for its name, or nobody known has signed it."
        if isinstance(cause, ssl.SSLError):
            return "The receiver does not speak TLS."
        cause = cause.__cause__ or cause.__context__
    return "Nobody can be reached at the receiver's address."
