"""The API of the tab Learn: begin lessons, watch them, and tell them what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from minigpt.inside.pieces import visible, vocabulary_of
from minigpt.web.learn.channel import Subscription, to_json
from minigpt.web.learn.lesson_fields import ACTS, BEGIN, chosen
from minigpt.web.learn.lessons import MAX_SESSIONS, Lessons
from minigpt.web.problems import AGAIN, Problem
from minigpt.web.request_fields import body_schema, read_fields
from minigpt.web.requests import Events, body_of
from minigpt.web.work import Work, client_of, count_down

if TYPE_CHECKING:
    from minigpt.web.learn.session import Session

MAX_LESSON_REQUEST_BYTES = 2**23
"""Bytes of a request with a text to learn from."""
SECONDS_BETWEEN_NEWS = 0.1
"""Events that happen in this time are sent together."""
SECONDS_BETWEEN_BEATS = 5.0
"""After this time without events something is sent, which shows whether the client is there."""
MAX_STREAMS_PER_CLIENT = 16
"""Streams of events of one client; each page that shows a lesson has one."""
MAX_TEXTS = 8
"""Texts to learn from that are received at once."""
MAX_TEXTS_PER_CLIENT = 2
"""A client may send its texts slowly, so it cannot take all places."""


def learn_routes(lessons: Lessons, stopping: Callable[[], bool]) -> list[Route]:
    """Return the routes under /api/lessons; events end when the server is `stopping`."""
    api = LearnApi(lessons, stopping)
    one = "/api/lessons/{id}"
    return [
        Route("/api/lessons", api.all_lessons, methods=["GET", "POST"]),
        Route(one, api.one_lesson, methods=["GET", "DELETE"]),
        Route(f"{one}/events", api.events),
        Route(f"{one}/slow_step", api.slow_step),
        *(Route(f"{one}/{name}", api.acting(name), methods=["POST"]) for name in ACTS),
    ]


class LearnApi:
    """The endpoints under /api/lessons.

    Parameters
    ----------
    lessons : the lessons of the server.
    stopping : returns whether the server is about to end.
    """

    def __init__(self, lessons: Lessons, stopping: Callable[[], bool]) -> None:
        self.lessons, self.stopping = lessons, stopping
        self.watching: Counter[str] = Counter()
        self.receiving: Counter[str] = Counter()
        self.quick = Work()
        self.slow = Work("it continues, and the page shows the result")

    async def all_lessons(self, request: Request) -> Response:
        """Answer at /api/lessons."""
        return await (self.begin if request.method == "POST" else self.overview)(request)

    async def one_lesson(self, request: Request) -> Response:
        """Answer at the address of a lesson."""
        return await (self.end if request.method == "DELETE" else self.state)(request)

    async def overview(self, request: Request) -> Response:
        """Return the names of the runs, the lessons, and what can be chosen for a lesson."""
        under_way = await to_thread.run_sync(self.lessons.list)
        answer = {
            "runs": self.lessons.runs(),
            "lessons": under_way,
            "most": MAX_SESSIONS,
            "fields": body_schema(BEGIN),
        }
        return JSONResponse(answer)

    async def begin(self, request: Request) -> Response:
        """Begin a lesson, and return its state."""
        client = client_of(request)
        is_full = self.receiving.total() >= MAX_TEXTS
        if is_full or self.receiving[client] >= MAX_TEXTS_PER_CLIENT:
            raise Problem(503, "too many lessons begin at once: try again in a second", AGAIN)
        self.receiving[client] += 1
        try:
            body = await body_of(request, MAX_LESSON_REQUEST_BYTES)
            return await self._answer(
                request,
                self.quick,
                lambda: self.lessons.start(*chosen(read_fields(body, BEGIN))),
            )
        finally:
            count_down(self.receiving, client)

    async def state(self, request: Request) -> Response:
        """Return the state of a lesson."""
        return await self._answer(request, self.quick, lambda: request.path_params["id"])

    async def end(self, request: Request) -> Response:
        """End a lesson."""
        id_ = request.path_params["id"]
        await to_thread.run_sync(self.lessons.end, id_)
        return JSONResponse({"ended": id_})

    async def slow_step(self, request: Request) -> Response:
        """Return the next step in slow motion."""

        def look() -> str:
            return _slow_step(self.lessons[request.path_params["id"]])

        return Response(await self.slow.run(look, request), media_type="application/json")

    async def events(self, request: Request) -> Response:
        """Return the stream of a lesson's events."""

        def listen() -> Subscription:
            self.lessons.check_watchers()
            return self.lessons[request.path_params["id"]].subscribe()

        client = client_of(request)
        n = self.watching[client]
        if n >= MAX_STREAMS_PER_CLIENT:
            raise Problem(429, f"you have {n} pages open that watch a lesson: close one", AGAIN)
        self.watching[client] += 1
        try:
            subscription = await to_thread.run_sync(listen)
        except BaseException:
            count_down(self.watching, client)
            raise

        def over() -> None:
            count_down(self.watching, client)
            subscription.close()

        return Events(_events(subscription, self.stopping), over)

    def acting(self, name: str) -> Callable[..., Awaitable[Response]]:
        """Return the endpoint that calls the method `name` of a lesson."""
        work = self.slow if name in ("back", "go_to") else self.quick

        async def endpoint(request: Request) -> Response:
            given = read_fields(await body_of(request), ACTS[name])
            id_ = request.path_params["id"]

            def act() -> str:
                if id_.startswith("run-") and name != "go_to":
                    raise Problem(409, "another process trains this run: it can only be watched")
                _act(self.lessons[id_], name, given)
                return id_

            return await self._answer(request, work, act)

        return endpoint

    async def _answer(self, request: Request, work: Work, act: Callable[[], str]) -> Response:
        """Call a function that returns the id of a lesson, and return the lesson's state."""

        def state() -> str:
            id_ = act()
            return to_json({"id": id_, **self.lessons[id_].state()})

        return Response(await work.run(state, request), media_type="application/json")


def _act(session: Session, name: str, given: dict[str, Any]) -> None:
    try:
        getattr(session, name)(**given)
    except ValueError as error:
        raise Problem(404, str(error)) from None
    except RuntimeError as error:
        raise Problem(409, str(error)) from None


def _slow_step(session: Session) -> str:
    try:
        step = session.slow_step()
    except (RuntimeError, ValueError) as error:
        raise Problem(409, str(error)) from None
    except OSError:  # its message has a path in it
        raise Problem(409, "the text of this run is not there any more") from None
    vocabulary = vocabulary_of(session.tokenizer, step.stations[-1].shape[-1])
    ids = sorted({*step.x.ravel().tolist(), *step.y.ravel().tolist()})
    pieces = {i: visible(vocabulary[i]) for i in ids}
    return to_json({"number": session.now + 1, **step.to_dict(), "pieces": pieces})


async def _events(subscription: Subscription, stopping: Callable[[], bool]) -> AsyncIterator[str]:
    """Yield events as text until there are no more, or the server stops."""
    last = anyio.current_time()
    while not subscription.over and not stopping():
        news = []
        while (event := subscription.get(0)) is not None:
            news.append(f"data: {event.json}\n\n")
        if news or anyio.current_time() > last + SECONDS_BETWEEN_BEATS:
            yield "".join(news) or ": still there\n\n"
            last = anyio.current_time()
        await anyio.sleep(SECONDS_BETWEEN_NEWS)
    yield "event: end\ndata: {}\n\n"
