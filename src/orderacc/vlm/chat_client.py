"""HTTP to the servers of one remote engine: every way it can fail is a `Refusal`."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Final

import aiohttp

from orderacc.vlm.refusals import Quoter, Refusal, refused, rest_asked_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orderacc.vlm.endpoints import Endpoint

LONGEST_ANSWER: Final = 4 * 2**20
"""Bytes of an answer that are read; a longer one is none."""

LARGE_QUESTION: Final = 2**19
"""Bytes of a question that are handed to the connection in one go."""


class ChatClient:
    """One pool of connections. Belongs to the event loop it is first used in.

    Args:
        token: Bearer token for every server, or None.
        passwords: Those of the addresses, which no message may show.
        connect_timeout: Seconds connecting may take.
        connections: Most at a time.
    """

    def __init__(
        self, *, token: str | None, passwords: Sequence[str], connect_timeout: float, connections: int
    ) -> None:
        self._token = token
        self._quoter = Quoter([*passwords, *([token] if token else [])])
        self._connect_timeout = connect_timeout
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def post(
        self, endpoint: Endpoint, body: bytes, headers: Mapping[str, str], *, patience: float
    ) -> bytes | Refusal:
        """Send a question.

        Args:
            endpoint: Where to.
            body: JSON.
            headers: About the question.
            patience: Seconds until the whole answer must be there.

        Returns:
            The body of an answer with status 200, or why there is none.
        """
        try:
            return await self._exchange(endpoint, body, headers, patience)
        except aiohttp.ConnectionTimeoutError:
            return Refusal("unreachable", f"{endpoint.label} takes no connection in time", again=True)
        except TimeoutError:
            return Refusal("timeout", f"{endpoint.label} did not answer within {patience:.3g} s")
        except (aiohttp.ClientResponseError, aiohttp.ClientPayloadError) as error:
            return Refusal("bad_answer", f"{endpoint.label} does not speak HTTP as it should ({type(error).__name__})")
        except (aiohttp.ClientError, OSError) as error:
            reason = self._quoter.clean(str(error)) or type(error).__name__
            return Refusal("unreachable", f"{endpoint.label} cannot be reached: {reason}", again=True)

    async def aclose(self) -> None:
        """End every connection; questions on their way fail."""
        if self._session is not None:
            await self._session.close()

    async def _exchange(
        self, endpoint: Endpoint, body: bytes, headers: Mapping[str, str], patience: float
    ) -> bytes | Refusal:
        async with self._open_session().post(
            endpoint.questions_url,
            # A large one is sent piece by piece, so that the event loop is not held up.
            data=io.BytesIO(body) if len(body) > LARGE_QUESTION else body,
            headers={**headers, "Content-Type": "application/json", **self._authorization(endpoint)},
            timeout=aiohttp.ClientTimeout(total=patience, sock_connect=self._connect_timeout),
            # Elsewhere the token is nobody's business.
            allow_redirects=False,
        ) as response:
            answer = await _read(response)
            if answer is None:
                return Refusal("bad_answer", f"{endpoint.label} answered with more than {LONGEST_ANSWER} bytes")
            if response.status == 200:
                return answer
            said = self._quoter.quote(answer)
            message = f"{endpoint.label} answered {response.status}{said and f': {said}'}"
            return refused(response.status, message, rest=rest_asked_for(response.headers.get("Retry-After")))

    def _authorization(self, endpoint: Endpoint) -> dict[str, str]:
        if self._token is not None:
            return {"Authorization": f"Bearer {self._token}"}
        if endpoint.user is not None:
            pair = f"{endpoint.user}:{endpoint.password or ''}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
        return {}

    def _open_session(self) -> aiohttp.ClientSession:
        # Not before it is used: engines are made in worker threads, which have no event loop.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity"},
                auto_decompress=False,
            )
        return self._session


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """The body, or None when there is no end to it."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LONGEST_ANSWER:
            return None
    return bytes(body)
