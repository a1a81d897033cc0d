"""The application: the page, its files, the API, and the guard in front of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import plotly
from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from minigpt.web.learn.learn_api import learn_routes
from minigpt.web.learn.lessons import Lessons
from minigpt.web.look.look_api import look_routes
from minigpt.web.look.models import Models
from minigpt.web.look.source_lines import file_page
from minigpt.web.memory import keep_trimmed
from minigpt.web.problems import Problem
from minigpt.web.safety import Guard
from minigpt.web.work import Work

STATIC = Path(__file__).parent / "static"
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


def make_app(
    models: Models,
    token: str,
    host: str,
    port: int,
    work: Work | None = None,
    lessons: Lessons | None = None,
) -> Guard:
    """Return the application.

    Parameters
    ----------
    models : the models on the page.
    token, host, port : see `Guard`.
    work : the threads in which models compute.
    lessons : the lessons on the page; they end with the server.
    """
    work, lessons = work or Work(), lessons or Lessons()
    models.memory.others = lessons.n_bytes

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lessons.keep_swept)
            tasks.start_soon(keep_trimmed)
            yield
            tasks.cancel_scope.cancel()
        await to_thread.run_sync(lessons.close)

    app = Starlette(
        routes=[
            *_page_routes(),
            *look_routes(models, work),
            *learn_routes(lessons, lambda: work.stopping()),
        ],
        exception_handlers={
            Problem: _problem,
            HTTPException: _http_problem,
            Exception: _unforeseen,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return Guard(app, token, host, port)


def _page_routes() -> list[BaseRoute]:
    async def page(request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def plotly_js(request: Request) -> Response:
        # The one file that is large and never changes while the server runs.
        return FileResponse(PLOTLY, headers={"etag": f'"{plotly.__version__}"'})

    async def source(request: Request) -> Response:
        shown = file_page(request.path_params["name"])
        if shown is None:
            raise Problem(404, "the page does not show this file")
        return HTMLResponse(shown)

    return [
        Route("/", page),
        Route("/plotly.js", plotly_js),
        Route("/source/{name:path}", source),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]


async def _problem(request: Request, error: Any) -> Response:
    return JSONResponse(error.to_dict(), error.status, error.headers)


async def _http_problem(request: Request, error: Any) -> Response:
    return JSONResponse({"error": error.detail.lower()}, error.status_code, error.headers)


async def _unforeseen(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "something went wrong; the terminal says more"}, 500)
