"""The description of the API that programs read, in OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from minigpt import __version__
from minigpt.web.learn import learn_openapi
from minigpt.web.openapi_parts import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    STRING,
    UNFIT,
    an_array,
    an_object,
    get,
    parameter,
    post,
)
from minigpt.web.request_fields import look_fields


def document(n_models: int) -> dict[str, Any]:
    """Return the OpenAPI document of a server that has `n_models` models."""
    fields = look_fields(n_models)
    token = an_object(id=INTEGER, piece=STRING, shown=STRING)
    answer = an_object(id=INTEGER, shown=STRING, probability=NUMBER)
    candidate = an_object(
        id=INTEGER, piece=STRING, shown=STRING, probability=NUMBER, drawn=NUMBER,
        before=NUMBER,
    )  # fmt: skip
    next_token = an_object(
        position=INTEGER, after=STRING, candidates=an_array(candidate), changes=an_array(candidate),
        n_kept=INTEGER, vocab_size=INTEGER,
    )  # fmt: skip
    head = an_object(layer=INTEGER, head=INTEGER, weights=an_array(an_array(NUMBER)))
    look = an_object(
        text=STRING,
        tokens=an_array(an_object(**token["properties"], surprise={"type": ["number", "null"]})),
        n_dropped=INTEGER,
        is_start=BOOLEAN,
        heads=an_object(shape=an_array(INTEGER), bytes=STRING),
        head=head,
        next=next_token,
        lens=an_object(first=INTEGER, answers=an_array(an_array(answer))),
    )
    error = an_object(error=STRING)
    error["properties"]["unfit"] = UNFIT
    sizes = ("n_layers", "n_heads", "d_model", "vocab_size", "max_len", "n_parameters")
    model = an_object(index=INTEGER, name=STRING, example=STRING, **dict.fromkeys(sizes, INTEGER))
    source = an_object(name=STRING, file=STRING, line=INTEGER, text=STRING)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "miniGPT explorer",
            "version": __version__,
            "description": "Look into a model. The token is sent as a cookie or a bearer token.",
        },
        "security": [{"token": []}],
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": error},
        },
        "paths": {
            "/api/models": get("The names of the models", an_object(names=an_array(STRING))),
            "/api/models/{index}": get(
                "The sizes of a model", model, [parameter("index", n_models - 1)]
            ),
            "/api/source": get(
                "The lines of source that compute each picture",
                {"type": "object", "additionalProperties": an_array(source)},
            ),
            "/api/look": post("All pictures of a text", fields["look"], look),
            "/api/head": post("The attention weights of one head", fields["head"], head),
            "/api/next": post("The tokens that may come next", fields["next"], next_token),
            "/api/write": post(
                "Continue a text: events with a token each, then the event `end`",
                fields["write"], an_object(data=STRING), "text/event-stream",
            ),
            **learn_openapi.paths(),
        },
    }  # fmt: skip
