"""The API: JSON in, JSON or events out. `openapi` describes it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from minigpt.explorer.asking import LONGEST_BODY, fields, read
from minigpt.explorer.looking import Asked, Looker
from minigpt.explorer.models import Models
from minigpt.explorer.openapi import document
from minigpt.explorer.problems import Problem
from minigpt.explorer.reading import sources
from minigpt.explorer.work import Work
from minigpt.sampling import Sampling


def routes(models: Models, work: Work) -> list[Route]:
    """Give the routes under /api."""
    known = fields(len(models))

    async def names(request: Request) -> Response:
        return JSONResponse({"names": models.names()})

    async def model(request: Request) -> Response:
        index = request.path_params["index"]
        return JSONResponse(await work.run(lambda: models.describe(index), request.is_disconnected))

    async def source(request: Request) -> Response:
        return JSONResponse(sources())

    async def openapi(request: Request) -> Response:
        return JSONResponse(document(len(models)))

    def answering(name: str, answer: Callable[[Looker, dict[str, Any]], Any]) -> Route:
        async def endpoint(request: Request) -> Response:
            given = read(await body_of(request), known[name])
            return JSONResponse(
                await work.run(
                    lambda: answer(models[given["model"]], given), request.is_disconnected
                )
            )

        return Route(f"/api/{name}", endpoint, methods=["POST"])

    async def write(request: Request) -> Response:
        given = read(await body_of(request), known["write"])

        def start() -> Any:
            looker, asked, sampling = models[given["model"]], _asked(given), _sampling(given)
            looker.look(asked)  # finds all that may be wrong before the first event
            return looker.write(asked, given["n"], sampling, given["seed"])

        tokens = await work.run(start, request.is_disconnected)
        work.start_writing()
        return StreamingResponse(_events(work.items(tokens)), media_type="text/event-stream")

    return [
        Route("/api/models", names),
        Route("/api/models/{index:int}", model),
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


async def body_of(request: Request, longest: int = LONGEST_BODY) -> bytes:
    """Read the body of a request that must be JSON and not too long."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Problem(415, "send JSON, with the content-type application/json")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > longest:
            raise Problem(413, f"the request is too long: at most {longest:,} bytes are read")
    return bytes(body)


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
