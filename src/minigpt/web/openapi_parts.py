"""The words that the document of the API is put together from."""

from __future__ import annotations

from typing import Any

from minigpt.web.asking import schema

INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
STRING = {"type": "string"}
BOOLEAN = {"type": "boolean"}


def an_object(**properties: Any) -> dict[str, Any]:
    """Describe an object that has all of these properties."""
    return {"type": "object", "properties": properties, "required": list(properties)}


UNFIT = an_object(field=STRING, offer={"type": ["number", "string", "null"]})
"""The field of a request that is wrong, and a value of it that works."""


def an_array(items: Any) -> dict[str, Any]:
    """Describe a list."""
    return {"type": "array", "items": items}


def parameter(name: str, high: int) -> dict[str, Any]:
    """Describe a part of an address that is a whole number."""
    schema = {"type": "integer", "minimum": 0, "maximum": high}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def get(summary: str, answer: Any, parameters: list[Any] | None = None) -> dict[str, Any]:
    """Describe what can be asked for."""
    codes = ["401", "403", "404"] if parameters else ["401", "403"]
    operation = {"summary": summary, "responses": responses(answer, codes)}
    return {"get": operation | ({"parameters": parameters} if parameters else {})}


def post(summary: str, asked: Any, answer: Any, kind: str = "application/json") -> dict[str, Any]:
    """Describe what can be asked for with a body of JSON."""
    codes = ["400", "401", "403", "404", "413", "415", "422", "429", "500", "503"]
    content = {"application/json": {"schema": schema(asked)}}
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": content},
            "responses": responses(answer, codes, kind),
        }
    }


def responses(answer: Any, codes: list[str], kind: str = "application/json") -> dict[str, Any]:
    """Describe the answer, and the errors."""
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    wrong = {code: {"description": "an error", "content": error} for code in codes}
    return {"200": {"description": "the answer", "content": {kind: {"schema": answer}}}} | wrong
