"""The API of the tab Learn: begin lessons, watch them, and tell them what to do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from minigpt.inside.pieces import visible, vocabulary_of
from minigpt.web.asking import read, schema
from minigpt.web.learn.channel import Subscription, to_json
from minigpt.web.learn.learn_asking import ACTS, BEGIN, chosen
from minigpt.web.learn.lessons import MOST_SESSIONS, Lessons
from minigpt.web.problems import AGAIN, Problem
from minigpt.web.requests import Events, body_of
from minigpt.web.work import Work, client_of, count_down

if TYPE_CHECKING:
    from minigpt.web.learn.session import Session

LONGEST_LESSON_REQUEST = 2**23
"""Bytes of a request that has a text to learn from."""
NEWS_EVERY = 0.1
"""Seconds between looks for events; those in between go out together."""
BEAT_EVERY = 5.0
"""Seconds after which something is sent in any case: so it is seen when nobody listens any more."""
MOST_WATCHING_EACH = 16
"""Streams of events of one client; each page that shows a lesson has one."""
MOST_TEXTS = 8
"""Texts to learn from that are received at once."""
MOST_TEXTS_EACH = 2
"""Of these from one client, who may send them slowly."""


def routes(lessons: Lessons, stopping: Callable[[], bool]) -> list[Route]:
    """Return the routes under /api/lessons; events end when the server is `stopping`."""
    known = schema(BEGIN)
    watching: Counter[str] = Counter()
    receiving: Counter[str] = Counter()
    quick, slow = Work(), Work("it goes on, and the page shows it when it is done")

    async def all_of_them(request: Request) -> Response:
        return await (begin if request.method == "POST" else names)(request)

    async def one_of_them(request: Request) -> Response:
        return await (end if request.method == "DELETE" else state)(request)

    async def names(request: Request) -> Response:
        under_way = await to_thread.run_sync(lessons.list)
        return JSONResponse(
            {"runs": lessons.runs(), "lessons": under_way, "most": MOST_SESSIONS, "fields": known}
        )

    async def begin(request: Request) -> Response:
        client = client_of(request)
        if receiving.total() >= MOST_TEXTS or receiving[client] >= MOST_TEXTS_EACH:
            raise Problem(503, "too many lessons begin at once: try again in a second", AGAIN)
        receiving[client] += 1
        try:
            body = await body_of(request, LONGEST_LESSON_REQUEST)
            return await answer(request, quick, lambda: lessons.start(*chosen(read(body, BEGIN))))
        finally:
            count_down(receiving, client)

    async def state(request: Request) -> Response:
        return await answer(request, quick, lambda: request.path_params["id"])

    async def answer(request: Request, work: Work, act: Callable[[], str]) -> Response:
        """Do something that gives the id of a lesson, and tell its state."""
        return Response(
            await work.run(lambda: _state(lessons, act()), request),
            media_type="application/json",
        )

    async def end(request: Request) -> Response:
        await to_thread.run_sync(lessons.end, request.path_params["id"])
        return JSONResponse({"ended": request.path_params["id"]})

    async def slow_step(request: Request) -> Response:
        def look() -> str:
            return _slow_step(lessons[request.path_params["id"]])

        text = await slow.run(look, request)
        return Response(text, media_type="application/json")

    async def events(request: Request) -> Response:
        def listen() -> Subscription:
            lessons.check_watchers()
            return lessons[request.path_params["id"]].subscribe()

        client = client_of(request)
        if watching[client] >= MOST_WATCHING_EACH:
            raise Problem(429, f"{watching[client]} pages of yours watch already: close one", AGAIN)
        watching[client] += 1
        try:
            subscription = await to_thread.run_sync(listen)
        except BaseException:
            count_down(watching, client)
            raise

        def over() -> None:
            count_down(watching, client)
            subscription.close()

        return Events(_events(subscription, stopping), over)

    def acting(name: str) -> Route:
        work = slow if name in ("back", "go_to") else quick

        async def endpoint(request: Request) -> Response:
            given = read(await body_of(request), ACTS[name])
            id_ = request.path_params["id"]

            def act() -> str:
                if id_.startswith("run-") and name != "go_to":
                    raise Problem(409, "another process trains this run: it can only be watched")
                _act(lessons[id_], name, given)
                return id_

            return await answer(request, work, act)

        return Route(f"/api/lessons/{{id}}/{name}", endpoint, methods=["POST"])

    return [
        Route("/api/lessons", all_of_them, methods=["GET", "POST"]),
        Route("/api/lessons/{id}", one_of_them, methods=["GET", "DELETE"]),
        Route("/api/lessons/{id}/events", events),
        Route("/api/lessons/{id}/slow_step", slow_step),
        *map(acting, ACTS),
    ]


def _act(session: Session, name: str, given: dict[str, Any]) -> None:
    try:
        getattr(session, name)(**given)
    except ValueError as error:
        raise Problem(404, str(error)) from None
    except RuntimeError as error:
        raise Problem(409, str(error)) from None


def _state(lessons: Lessons, id_: str) -> str:
    return to_json({"id": id_, **lessons[id_].state()})


def _slow_step(session: Session) -> str:
    try:
        step = session.slow_step()
    except (RuntimeError, ValueError) as error:
        raise Problem(409, str(error)) from None
    except OSError:  # whose text has a path in it
        raise Problem(409, "the text of this run is not there any more") from None
    vocabulary = vocabulary_of(session.tokenizer, step.stations[-1].shape[-1])
    ids = sorted({*step.x.ravel().tolist(), *step.y.ravel().tolist()})
    pieces = {i: visible(vocabulary[i]) for i in ids}
    return to_json({"number": session.now + 1, **step.to_dict(), "pieces": pieces})


async def _events(subscription: Subscription, stopping: Callable[[], bool]) -> AsyncIterator[str]:
    """Send events until there are no more, or nobody listens."""
    last = anyio.current_time()
    while not subscription.over and not stopping():
        news = []
        while (event := subscription.get(0)) is not None:
            news.append(f"data: {event.json}\n\n")
        if news or anyio.current_time() > last + BEAT_EVERY:
            yield "".join(news) or ": still there\n\n"
            last = anyio.current_time()
        await anyio.sleep(NEWS_EVERY)
    yield f"event: end\ndata: {json.dumps({})}\n\n"
