"""Short functions from which the OpenAPI document is built."""

from __future__ import annotations

from typing import Any

from minigpt.web.request_fields import body_schema

INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
STRING = {"type": "string"}
BOOLEAN = {"type": "boolean"}


def an_object(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object that has all of these properties."""
    return {"type": "object", "properties": properties, "required": list(properties)}


UNFIT = an_object(field=STRING, offer={"type": ["number", "string", "null"]})
"""The field of a request that is wrong, and a value of it that works."""


def an_array(items: Any) -> dict[str, Any]:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def parameter(name: str, high: int) -> dict[str, Any]:
    """Return the description of a whole number in an address."""
    schema = {"type": "integer", "minimum": 0, "maximum": high}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def get(summary: str, answer: Any, parameters: list[Any] | None = None) -> dict[str, Any]:
    """Return the description of a GET operation."""
    codes = ["401", "403", "404"] if parameters else ["401", "403"]
    operation = {"summary": summary, "responses": responses(answer, codes)}
    return {"get": operation | ({"parameters": parameters} if parameters else {})}


def post(summary: str, fields: Any, answer: Any, kind: str = "application/json") -> dict[str, Any]:
    """Return the description of a POST operation with a body of JSON."""
    codes = ["400", "401", "403", "404", "413", "415", "422", "429", "500", "503"]
    content = {"application/json": {"schema": body_schema(fields)}}
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": content},
            "responses": responses(answer, codes, kind),
        }
    }


def responses(answer: Any, codes: list[str], kind: str = "application/json") -> dict[str, Any]:
    """Return the description of the answer, and of the errors with these status codes."""
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    wrong = {code: {"description": "an error", "content": error} for code in codes}
    return {"200": {"description": "the answer", "content": {kind: {"schema": answer}}}} | wrong
