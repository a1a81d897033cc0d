"""The API: JSON in, JSON or events out. `openapi` describes it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from minigpt.core.sampling import Sampling
from minigpt.web.asking import fields, read
from minigpt.web.look.answers import Asked, Looker
from minigpt.web.look.models import Models
from minigpt.web.look.source_lines import sources
from minigpt.web.openapi import document
from minigpt.web.problems import Problem
from minigpt.web.requests import Events, body_of
from minigpt.web.work import Work


def routes(models: Models, work: Work) -> list[Route]:
    """Return the routes under /api."""
    known = fields(len(models))

    async def names(request: Request) -> Response:
        return JSONResponse({"names": models.names()})

    async def model(request: Request) -> Response:
        index = request.path_params["index"]
        if not re.fullmatch("[0-9]{1,9}", index):
            raise Problem(404, f"there is no model {index[:50]!a}")
        return await work.run(lambda: JSONResponse(models.describe(int(index))), request)

    async def source(request: Request) -> Response:
        return JSONResponse(sources())

    async def openapi(request: Request) -> Response:
        return JSONResponse(document(len(models)))

    def answering(name: str, answer: Callable[[Looker, dict[str, Any]], Any]) -> Route:
        async def endpoint(request: Request) -> Response:
            given = read(await body_of(request), known[name])
            return await work.run(
                lambda: JSONResponse(answer(models[given["model"]], given)), request
            )

        return Route(f"/api/{name}", endpoint, methods=["POST"])

    async def write(request: Request) -> Response:
        given = read(await body_of(request), known["write"])

        def start() -> Any:
            looker, asked, sampling = models[given["model"]], _asked(given), _sampling(given)
            looker.look(asked)  # finds all that may be wrong before the first event
            return looker.cache_size, looker.write(asked, given["n"], sampling, given["seed"])

        size, tokens = await work.run(start, request)
        over = work.start_writing(request, models.memory, size)
        return Events(_events(work.items(tokens, request)), over)

    return [
        Route("/api/models", names),
        Route("/api/models/{index}", model),
        Route("/api/source", source),
        Route("/api/openapi.json", openapi),
        answering(
            "look",
            lambda looker, given: looker.look(
                _asked(given), given["layer"], given["head"], given["position"], _sampling(given)
            ),
        ),
        answering(
            "head", lambda looker, given: looker.head(_asked(given), given["layer"], given["head"])
        ),
        answering(
            "next",
            lambda looker, given: looker.next(_asked(given), given["position"], _sampling(given)),
        ),
        Route("/api/write", write, methods=["POST"]),
    ]


def _asked(given: dict[str, Any]) -> Asked:
    return Asked(given["text"], given["more"], given["off"])


def _sampling(given: dict[str, Any]) -> Sampling:
    return Sampling(given["temperature"], given["top_k"], given["top_p"])


async def _events(items: AsyncIterator[Any]) -> AsyncIterator[str]:
    """Write items as server-sent events, and at the end one that says so."""
    try:
        async for item in items:
            yield f"data: {json.dumps(item)}\n\n"
        yield "event: end\ndata: {}\n\n"
    finally:
        await items.aclose()  # type: ignore[attr-defined]
