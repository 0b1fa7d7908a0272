"""A vision language model behind an OpenAI-compatible API: OpenVINO Model Server, vLLM, or `orderacc serve-vlm`."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final

from orderacc.backoff import Backoff
from orderacc.breaker import Circuit
from orderacc.errors import EngineError
from orderacc.vlm.chat import PRIORITY_HEADER, STATION_HEADER, Question, read_answer_body
from orderacc.vlm.chat_client import ChatClient
from orderacc.vlm.endpoints import Endpoint, Endpoints, Health
from orderacc.vlm.engine import Priority, VlmAnswer
from orderacc.vlm.pictures import check_picture
from orderacc.vlm.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orderacc.config.secrets import SecretText
    from orderacc.vlm.endpoints import Attempt
    from orderacc.vlm.engine import VlmRequest

LONGEST_PAUSE: Final = 5.0
"""Seconds a question waits for a server that asks for patience; beyond that it fails, and may be asked elsewhere, or
looks at the servers again when it is to wait on."""

FIRST_WAIT: Final = 0.2
"""Seconds before the second round over the servers, at most; each further wait is twice as long."""

LONGEST_WAIT: Final = 2.0
MAX_PIXELS: Final = 4096 * 28 * 28
"""Of a picture that is sent."""

EXTRAS: Final = (("response_format", "logprobs"), ("response_format",), ("logprobs",), ())
"""Optional parts of a question, from the best set to none: a server that refuses one set is sent the next."""


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """How a remote engine is asked.

    Attributes:
        urls: Where its API begins, one or several equal servers.
        model: What the servers call the model.
        token: Sent as a bearer token, or None.
        timeout_sec: Seconds one attempt may take, connecting included.
        connect_timeout_sec: Seconds connecting may take.
        retries: Further rounds over the servers after failures that another attempt may mend; those of a patient engine
            that found a server busy do not count.
        max_in_flight: Most questions on their way at a time.
        jpeg_quality: Of the pictures sent, 1 to 100.
        circuit_breaker_threshold: Failures in a row after which an address is given up.
        circuit_breaker_cooldown_sec: Seconds until it is tried again.
    """

    urls: tuple[SecretText, ...]
    model: str
    token: SecretText | None = None
    timeout_sec: float = 20.0
    connect_timeout_sec: float = 3.0
    retries: int = 2
    max_in_flight: int = 16
    jpeg_quality: int = 95
    circuit_breaker_threshold: int = 3
    circuit_breaker_cooldown_sec: float = 5.0


class OpenAiEngine:
    """Asks servers, each question on its own; servers batch by themselves.

    A question goes to the server with the fewest outstanding. When a server fails, the others are asked at once; a
    round that failed everywhere is repeated after a wait if another attempt may help. Questions of closed orders wait
    for servers that are busy until their deadline. Belongs to the event loop it is first used in.

    Args:
        settings: Where and how.
        schema: JSON Schema of the answers to requests that have a grammar; sent to servers that take one.
        name: What logs, metrics and answers call it.
        patient: Whether questions wait like that; False where another engine may take those that are sent back.
        rng: Decides the waits' jitter.

    Attributes:
        name: As given.
        device: What logs say it runs on.
    """

    device = "remote"

    def __init__(
        self,
        settings: RemoteSettings,
        *,
        schema: Mapping[str, Any] | None = None,
        name: str = "remote",
        patient: bool = True,
        rng: Random | None = None,
    ) -> None:
        self.name = name
        self._settings = settings
        self._schema = schema
        self._patient = patient
        self._rng = rng or Random()  # noqa: S311  jitter is no secret
        self._endpoints = Endpoints(
            settings.urls,
            threshold=settings.circuit_breaker_threshold,
            cooldown=settings.circuit_breaker_cooldown_sec,
            rng=self._rng,
        )
        self._client = ChatClient(
            token=settings.token.reveal() if settings.token else None,
            passwords=[one.password for one in self._endpoints.all if one.password],
            connect_timeout=settings.connect_timeout_sec,
            connections=settings.max_in_flight,
        )
        self._lanes = asyncio.Semaphore(settings.max_in_flight)
        self._closed = False

    async def generate(self, requests: Sequence[VlmRequest]) -> list[VlmAnswer]:
        """See `VlmEngine.generate`.

        Raises:
            EngineError: Of the first request that failed, when all have ended. `unreachable` (nobody answers the
                connection), `timeout`, `unauthorized`, `not_found` (the model or the path), `busy`, `circuit_open`
                (every address is given up for now), `bad_answer` (not what the API says), `refused` (the servers take
                no such question), `deadline` (the request's own is over), `engine_failed` with a server's status, or
                `engine_closed`.
        """
        answers = await asyncio.gather(*map(self._ask, requests), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    async def aclose(self) -> None:
        """End every connection; questions on their way fail with `engine_closed`."""
        self._closed = True
        await self._client.aclose()

    async def _ask(self, request: VlmRequest) -> VlmAnswer:
        check_picture(request.image, max_pixels=MAX_PIXELS)
        async with self._lanes:
            question = await asyncio.to_thread(
                Question,
                request,
                model=self._settings.model,
                schema=self._schema,
                jpeg_quality=self._settings.jpeg_quality,
            )
            return await self._persist(question, request)

    async def _persist(self, question: Question, request: VlmRequest) -> VlmAnswer:
        """Ask until somebody answers or nothing more may be done."""
        waits = Backoff(FIRST_WAIT, LONGEST_WAIT, self._rng)
        patient = self._patient and request.priority is Priority.CLOSING and request.deadline is not None
        hopeless: set[Endpoint] = set()
        failure, failed_rounds = self._nobody(), 0
        while True:
            asked, refusals = set(hopeless), []
            while (attempt := self._begin(request, asked)) is not None:
                outcome = await self._attempt(attempt, question, request)
                if isinstance(outcome, VlmAnswer):
                    return outcome
                failure = outcome
                if not outcome.elsewhere:
                    raise outcome.error()
                refusals.append(outcome.code)
                asked.add(attempt.endpoint)
                if not outcome.again:
                    hopeless.add(attempt.endpoint)
            in_line = patient and (not refusals or "busy" in refusals)
            failed_rounds += not in_line
            pause = self._pause(waits, hopeless, request, patient=in_line)
            if pause is None or failed_rounds > self._settings.retries:
                break
            await asyncio.sleep(pause)
        self._check_open()
        raise failure.error()

    def _begin(self, request: VlmRequest, asked: set[Endpoint]) -> Attempt | None:
        self._check_open()
        now = time.monotonic()
        if request.deadline is not None and now >= request.deadline:
            raise EngineError("the time for an answer is over", code="deadline")
        return self._endpoints.begin(now, asked)

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("the engine is closed", code="engine_closed")

    def _pause(self, waits: Backoff, hopeless: set[Endpoint], request: VlmRequest, *, patient: bool) -> float | None:
        """Seconds until another round; None when waiting is no use."""
        over = self._endpoints.rest_over(hopeless)
        if over is None:
            return None
        now = time.monotonic()
        pause = max(waits.next(), over - now)
        late = request.deadline is not None and now + pause >= request.deadline
        return None if late or (pause > LONGEST_PAUSE and not patient) else min(pause, LONGEST_PAUSE)

    def _nobody(self) -> Refusal:
        if any(one.breaker.circuit is Circuit.CLOSED for one in self._endpoints.all):
            return Refusal("busy", f"{self.name}: every server asked to be left alone for a while")
        return Refusal("circuit_open", f"{self.name}: every server failed too often and is left alone for a while")

    async def _attempt(self, attempt: Attempt, question: Question, request: VlmRequest) -> VlmAnswer | Refusal:
        health, rest = Health.UNKNOWN, 0.0
        try:
            outcome = await self._negotiate(attempt.endpoint, question, request)
            if isinstance(outcome, Refusal):
                health, rest = outcome.health, outcome.rest
            else:
                health = Health.GOOD
            return outcome
        finally:
            self._endpoints.end(attempt, time.monotonic(), health, rest=rest)

    async def _negotiate(self, endpoint: Endpoint, question: Question, request: VlmRequest) -> VlmAnswer | Refusal:
        """Ask one server, leaving out what it does not take."""
        refusals: list[Refusal] = []
        for frugality in range(endpoint.frugality, len(EXTRAS)):
            extras = EXTRAS[frugality]
            if not question.extras.issuperset(extras):
                continue
            outcome = await self._post(endpoint, question.body(extras), request)
            if isinstance(outcome, VlmAnswer):
                endpoint.frugality = frugality if refusals else endpoint.frugality
                return outcome
            if not outcome.negotiable:
                # This tells how the server is; that it refused more before does not.
                return outcome
            refusals.append(outcome)
        return refusals[0]

    async def _post(self, endpoint: Endpoint, body: bytes, request: VlmRequest) -> VlmAnswer | Refusal:
        started = time.monotonic()
        patience = self._settings.timeout_sec
        if request.deadline is not None:
            patience = max(0.001, min(patience, request.deadline - started))
        reply = await self._client.post(endpoint, body, _about(request), patience=patience)
        if isinstance(reply, Refusal):
            return reply
        try:
            elapsed_ms = (time.monotonic() - started) * 1000
            return read_answer_body(reply, request, engine=self.name, elapsed_ms=elapsed_ms)
        except EngineError as error:
            return Refusal(error.code, f"{endpoint.label}: {error.message}")


def _about(request: VlmRequest) -> dict[str, str]:
    headers = {PRIORITY_HEADER: str(int(request.priority))}
    if request.station_id.isascii() and request.station_id.isprintable():
        headers[STATION_HEADER] = request.station_id
    return headers
