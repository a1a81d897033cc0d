"""The API in the form that machines read, OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from minigpt import __version__
from minigpt.explorer.asking import fields, schema

_INTEGER = {"type": "integer"}
_NUMBER = {"type": "number"}
_STRING = {"type": "string"}
_BOOLEAN = {"type": "boolean"}


def document(n_models: int) -> dict[str, Any]:
    """Give the document for a server that has `n_models` models."""
    asked = fields(n_models)
    token = _object(id=_INTEGER, piece=_STRING, shown=_STRING)
    answer = _object(id=_INTEGER, shown=_STRING, probability=_NUMBER)
    candidate = _object(
        id=_INTEGER, piece=_STRING, shown=_STRING, probability=_NUMBER, drawn=_NUMBER,
        before=_NUMBER,
    )  # fmt: skip
    next_token = _object(
        position=_INTEGER, after=_STRING, candidates=_array(candidate), changes=_array(candidate),
        n_kept=_INTEGER, vocab_size=_INTEGER,
    )  # fmt: skip
    head = _object(layer=_INTEGER, head=_INTEGER, weights=_array(_array(_NUMBER)))
    look = _object(
        text=_STRING,
        tokens=_array(_object(**token["properties"], surprise={"type": ["number", "null"]})),
        n_dropped=_INTEGER,
        is_start=_BOOLEAN,
        heads=_object(shape=_array(_INTEGER), bytes=_STRING),
        head=head,
        next=next_token,
        lens=_object(first=_INTEGER, answers=_array(_array(answer))),
    )
    sizes = ("n_layers", "n_heads", "d_model", "vocab_size", "max_len", "n_parameters")
    model = _object(index=_INTEGER, name=_STRING, **dict.fromkeys(sizes, _INTEGER))
    source = _object(name=_STRING, file=_STRING, line=_INTEGER, text=_STRING)
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
            "schemas": {"Error": _object(error=_STRING)},
        },
        "paths": {
            "/api/models": _get("The names of the models", _object(names=_array(_STRING))),
            "/api/models/{index}": _get(
                "The sizes of a model", model, [_parameter("index", n_models - 1)]
            ),
            "/api/source": _get(
                "The lines of source that compute each picture",
                {"type": "object", "additionalProperties": _array(source)},
            ),
            "/api/look": _post("All pictures of a text", asked["look"], look),
            "/api/head": _post("The attention weights of one head", asked["head"], head),
            "/api/next": _post("What comes next, and how likely", asked["next"], next_token),
            "/api/write": _post(
                "Go on with a text: events with a token each, then the event `end`",
                asked["write"], _object(data=_STRING), "text/event-stream",
            ),
        },
    }  # fmt: skip


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _parameter(name: str, high: int) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": 0, "maximum": high}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _get(summary: str, answer: Any, parameters: list[Any] | None = None) -> dict[str, Any]:
    codes = ["401", "403", "404"] if parameters else ["401", "403"]
    operation = {"summary": summary, "responses": _responses(answer, codes)}
    return {"get": operation | ({"parameters": parameters} if parameters else {})}


def _post(summary: str, asked: Any, answer: Any, kind: str = "application/json") -> dict[str, Any]:
    codes = ["400", "401", "403", "404", "413", "415", "422", "429", "500", "503"]
    content = {"application/json": {"schema": schema(asked)}}
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": content},
            "responses": _responses(answer, codes, kind),
        }
    }


def _responses(answer: Any, codes: list[str], kind: str = "application/json") -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    wrong = {code: {"description": "an error", "content": error} for code in codes}
    return {"200": {"description": "the answer", "content": {kind: {"schema": answer}}}} | wrong
