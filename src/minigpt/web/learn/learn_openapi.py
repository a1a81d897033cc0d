"""The part of the OpenAPI document that describes lessons."""

from __future__ import annotations

from typing import Any

from minigpt.web.learn.lesson_fields import ACTS, BEGIN
from minigpt.web.openapi_parts import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    STRING,
    UNFIT,
    an_array,
    an_object,
    get,
    post,
    responses,
)

EVENTS = (
    "Server-sent events: the data of each is JSON with its kind, one of history, state, step, "
    "layers, sample, heads, embeddings, moved, error and end; then the event `end`"
)
_OR_NONE = {"type": ["number", "null"]}
_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": r"^([0-9a-f]{8}|run-(0|[1-9][0-9]?))$"},
    "description": "the id of a lesson, or run- and the number of a run",
}


def paths() -> dict[str, Any]:
    """Return the paths under /api/lessons."""
    brief = an_object(id=STRING, n_watchers=INTEGER, status=STRING, step=INTEGER, steps=INTEGER)
    names = an_object(
        runs=an_array(STRING), lessons=an_array(brief), most=INTEGER, fields={"type": "object"}
    )
    state = an_object(
        id=STRING, status=STRING, step=INTEGER, steps=INTEGER, furthest=INTEGER,
        settings={"type": "object"}, problem={"type": ["string", "null"]},
    )  # fmt: skip
    state["properties"] |= {
        "unfit": {"anyOf": [UNFIT, {"type": "null"}]},
        "floor": _OR_NONE,
        "parameters": INTEGER,
        "vocab_size": INTEGER,
        "checkpoints": an_array(INTEGER),
        "chosen": BOOLEAN,
        "changed": _OR_NONE,
    }
    one = "/api/lessons/{id}"
    begun = post("Begin a lesson: it trains a small model", BEGIN, state)
    told = {
        f"{one}/{name}": _with_id(post(summary, ACTS[name], state))
        for name, summary in {
            "run": "Train until the end, or a pause",
            "pause": "Stop after the current step",
            "step": "Take some steps, and pause",
            "back": "Go back some steps, and pause",
            "go_to": "Return to the model after a step; in a run, to the last checkpoint before it",
        }.items()
    }
    return {
        "/api/lessons": get("The runs that can be followed, and the lessons under way", names)
        | begun,
        one: _with_id(
            get("The state of a lesson", state)
            | {"delete": _operation("End a lesson", an_object(ended=STRING))}
        ),
        f"{one}/events": _with_id(
            {"get": _operation(EVENTS, an_object(data=STRING), "text/event-stream")}
        ),
        f"{one}/slow_step": _with_id({"get": _operation("The next step, stage by stage", _slow())}),
        **told,
    }


def _slow() -> dict[str, Any]:
    ids, losses = an_array(an_array(INTEGER)), an_array(an_array(_OR_NONE))
    station = an_object(
        name=STRING, shape=an_array(INTEGER), norm=_OR_NONE, gradient=_OR_NONE,
        parameters={"type": "object", "additionalProperties": _OR_NONE},
    )  # fmt: skip
    change = an_object(
        name=STRING, index=an_array(INTEGER), gradient=_OR_NONE, before=_OR_NONE, after=_OR_NONE
    )
    return an_object(
        number=INTEGER, x=ids, y=ids, losses=losses, loss=_OR_NONE, stations=an_array(station),
        gradient_norm=_OR_NONE, clip=NUMBER, learning_rate=NUMBER, changes=an_array(change),
        losses_after=losses, loss_after=_OR_NONE,
        pieces={"type": "object", "additionalProperties": STRING},
    )  # fmt: skip


def _operation(summary: str, answer: Any, kind: str = "application/json") -> dict[str, Any]:
    codes = ["401", "403"]
    return {"summary": summary, "responses": responses(answer, codes, kind)}


def _with_id(operations: dict[str, Any]) -> dict[str, Any]:
    """Add the id in the address, and the errors of a lesson that is gone or busy."""
    for operation in operations.values():
        operation["parameters"] = [_ID]
        for code in ("404", "409", "429", "503"):
            operation["responses"].setdefault(code, operation["responses"]["401"])
    return operations
