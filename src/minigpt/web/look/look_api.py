"""The API of the tabs Look and Read: JSON in, JSON or events out. `openapi` describes it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from minigpt.core.sampling import Sampling
from minigpt.web.look.answers import Looker, Question
from minigpt.web.look.models import Models
from minigpt.web.look.source_lines import sources
from minigpt.web.openapi import document
from minigpt.web.problems import Problem
from minigpt.web.request_fields import look_fields, read_fields
from minigpt.web.requests import Events, body_of
from minigpt.web.work import Work


def look_routes(models: Models, work: Work) -> list[Route]:
    """Return the routes under /api that are about models."""
    api = LookApi(models, work)
    return [
        Route("/api/models", api.names),
        Route("/api/models/{index}", api.model),
        Route("/api/source", api.source),
        Route("/api/openapi.json", api.openapi),
        Route("/api/look", api.look, methods=["POST"]),
        Route("/api/head", api.head, methods=["POST"]),
        Route("/api/next", api.next, methods=["POST"]),
        Route("/api/write", api.write, methods=["POST"]),
    ]


class LookApi:
    """The endpoints under /api that are about models.

    Parameters
    ----------
    models : the models on the page.
    work : the threads in which models compute.
    """

    def __init__(self, models: Models, work: Work) -> None:
        self.models, self.work = models, work
        self.fields = look_fields(len(models))

    async def names(self, request: Request) -> Response:
        """Return the names of all models."""
        return JSONResponse({"names": self.models.names()})

    async def model(self, request: Request) -> Response:
        """Return the sizes of one model."""
        index = request.path_params["index"]
        if not re.fullmatch("[0-9]{1,9}", index):
            raise Problem(404, f"there is no model {index[:50]!a}")
        return await self.work.run(lambda: JSONResponse(self.models.describe(int(index))), request)

    async def source(self, request: Request) -> Response:
        """Return the source that computes each picture."""
        return JSONResponse(sources())

    async def openapi(self, request: Request) -> Response:
        """Return the description of the API."""
        return JSONResponse(document(len(self.models)))

    async def look(self, request: Request) -> Response:
        """Return all pictures of a text."""
        given = await self._read(request, "look")

        def answer() -> Response:
            layer, head, position = given["layer"], given["head"], given["position"]
            looker, question = self._looker(given)
            return JSONResponse(looker.look(question, layer, head, position, _sampling(given)))

        return await self.work.run(answer, request)

    async def head(self, request: Request) -> Response:
        """Return the attention weights of one head."""
        given = await self._read(request, "head")

        def answer() -> Response:
            looker, question = self._looker(given)
            return JSONResponse(looker.head(question, given["layer"], given["head"]))

        return await self.work.run(answer, request)

    async def next(self, request: Request) -> Response:
        """Return the tokens that may come next."""
        given = await self._read(request, "next")

        def answer() -> Response:
            looker, question = self._looker(given)
            return JSONResponse(looker.next(question, given["position"], _sampling(given)))

        return await self.work.run(answer, request)

    async def write(self, request: Request) -> Response:
        """Continue a text, with an event for each token."""
        given = await self._read(request, "write")

        def start() -> Any:
            looker, question = self._looker(given)
            looker.look(question)  # raises every possible error before the first event
            tokens = looker.write(question, given["n"], _sampling(given), given["seed"])
            return looker.cache_size, tokens

        size, tokens = await self.work.run(start, request)
        over = self.work.start_writing(request, self.models.memory, size)
        return Events(_events(self.work.items(tokens, request)), over)

    async def _read(self, request: Request, name: str) -> dict[str, Any]:
        return read_fields(await body_of(request), self.fields[name])

    def _looker(self, given: dict[str, Any]) -> tuple[Looker, Question]:
        """Return the model of a request, opened if necessary, and the text."""
        question = Question(given["text"], given["more"], given["off"])
        return self.models[given["model"]], question


def _sampling(given: dict[str, Any]) -> Sampling:
    return Sampling(given["temperature"], given["top_k"], given["top_p"])


async def _events(items: AsyncIterator[Any]) -> AsyncIterator[str]:
    """Yield items as server-sent events, and `end` as the last event."""
    try:
        async for item in items:
            yield f"data: {json.dumps(item)}\n\n"
        yield "event: end\ndata: {}\n\n"
    finally:
        await items.aclose()  # type: ignore[attr-defined]
