"""Builds the OpenAPI document: imported when it is asked for, for the library behind it is nobody else's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from drf_spectacular.drainage import warn
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent, get_doc
from msgspec import inspect

from core.api.moments import Moment
from core.api.problems import CONTENT_TYPE as PROBLEM_TYPE
from core.api.rendering import CONTENT_TYPE as JSON_TYPE
from core.api.schema import Bodies, Operation, ProblemDocument

REF_TEMPLATE = "#/components/schemas/{name}"
ALWAYS = (401, 403, 429, 500, 503)
WITH_BODY = (400, 413, 415, 422)
WITH_QUERY = (400, 422)


class ApiSchema(AutoSchema):
    """Builds an operation of the OpenAPI document from what `operation` says of the handler."""

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: ComponentRegistry
    ) -> dict[str, Any] | None:
        """Return the operation, or None with a warning when the handler is not documented."""
        self.registry = registry
        self.path, self.path_regex, self.path_prefix, self.method = path, path_regex, path_prefix, method.upper()
        handler = getattr(self.view, method.lower())
        documented: Operation | None = getattr(handler, "operation", None)
        if documented is None:
            warn(f"{type(self.view).__name__}.{method.lower()} is not documented: decorate it with @operation")
            return None
        result: dict[str, Any] = {
            "operationId": documented.id,
            "summary": documented.summary,
            "tags": [documented.tag or (self._tokenize_path() or ["api"])[0]],
            "parameters": [*self._path_parameters(), *self._query_parameters(documented), *_headers(documented)],
            "security": self.get_auth(),
            "responses": self._responses(documented),
        }
        if description := get_doc(handler):
            result["description"] = description
        if documented.body is not None:
            result["requestBody"] = {"required": True, "content": self._content(documented.body)}
        if scope := getattr(self.view, "required_scopes", {}).get(self.method):
            result["x-required-scope"] = scope
        return result

    def _path_parameters(self) -> list[dict[str, Any]]:
        names = re.findall(r"{(\w+)}", self.path)
        resolved: list[dict[str, Any]] = self._resolve_path_parameters(names)  # type: ignore[no-untyped-call]
        return resolved

    def _query_parameters(self, documented: Operation) -> list[dict[str, Any]]:
        if documented.query is None:
            return []
        schema = self._struct_schema(documented.query)
        required = set(schema.get("required", ()))
        parameters = []
        for name, value in schema["properties"].items():
            shown = dict(value)
            described = {"description": shown.pop("description")} if "description" in shown else {}
            parameters.append({"name": name, "in": "query", "required": name in required, "schema": shown, **described})
        return parameters

    def _responses(self, documented: Operation) -> dict[str, Any]:
        responses: dict[str, Any] = {}
        for status, body in documented.answers.items():
            responses[str(status)] = {"description": HTTPStatus(status).phrase}
            if body is not None:
                responses[str(status)]["content"] = self._content(body)
        statuses = {*ALWAYS, *documented.problems}
        statuses |= set(WITH_BODY) if documented.body is not None else set()
        statuses |= set(WITH_QUERY) if documented.query is not None else set()
        statuses |= {404} if "{" in self.path else set()
        statuses |= {409} if documented.idempotent else set()
        for status in statuses - set(documented.answers):
            responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": self._error_content()}
        return dict(sorted(responses.items()))

    def _error_content(self) -> dict[str, Any]:
        schemas = {PROBLEM_TYPE: ProblemDocument, JSON_TYPE: dict[str, Any]}
        return {
            kind: {"schema": self._schema(schemas.get(kind, bytes))}
            for kind in getattr(self.view, "error_types", (PROBLEM_TYPE,))
        }

    def _content(self, body: Bodies) -> dict[str, Any]:
        by_type = body if isinstance(body, Mapping) else {JSON_TYPE: body}
        return {media_type: {"schema": self._schema(kind)} for media_type, kind in by_type.items()}

    def _schema(self, kind: Any) -> dict[str, Any]:
        """Return the schema of a type; the structs in it become components."""
        if kind is bytes:
            return {"type": "string", "format": "binary"}
        schemas, components = msgspec.json.schema_components(
            [kind], ref_template=REF_TEMPLATE, schema_hook=_schema_of_own_type
        )
        structs = {struct.__name__: struct for struct in _structs_in(kind)}
        for name, schema in components.items():
            self._register(name, _finished(schema, structs.get(name)))
        return dict(schemas[0])

    def _struct_schema(self, struct: type[msgspec.Struct]) -> dict[str, Any]:
        _, components = msgspec.json.schema_components(
            [struct], ref_template=REF_TEMPLATE, schema_hook=_schema_of_own_type
        )
        return _finished(components[struct.__name__], struct)

    def _register(self, name: str, schema: dict[str, Any]) -> None:
        component = ResolvedComponent(  # type: ignore[no-untyped-call]  # the library's own class
            name=name, type=ResolvedComponent.SCHEMA, object=name, schema=schema
        )
        if component in self.registry and self.registry[component].schema != schema:
            warn(f"two different structs are called {name}: the document can hold one")
        self.registry.register_on_missing(component)


def _headers(documented: Operation) -> list[dict[str, Any]]:
    if not documented.idempotent:
        return []
    return [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "The same key with the same content answers as the first time and records nothing.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200},
        }
    ]


def _schema_of_own_type(kind: type) -> dict[str, Any]:
    if kind is Moment:
        return {
            "type": "string",
            "description": "A time with its offset, or a date: its midnight in the organisation's time zone.",
            "examples": ["2026-11-20", "2026-11-20T10:00:00Z"],
        }
    if kind is object:
        return {}
    raise NotImplementedError(kind)


def _structs_in(kind: Any) -> Iterable[type[msgspec.Struct]]:
    seen: set[type] = set()
    waiting = [inspect.type_info(kind)]
    while waiting:
        info = waiting.pop()
        if isinstance(info, inspect.StructType):
            if info.cls in seen:
                continue
            seen.add(info.cls)
            yield info.cls
            waiting += [member.type for member in info.fields]
        waiting += [
            inner
            for name in ("type", "item_type", "key_type", "value_type")
            if isinstance(inner := getattr(info, name, None), inspect.Type)
        ]
        waiting += [*getattr(info, "types", ()), *getattr(info, "item_types", ())]


def _finished(schema: dict[str, Any], struct: type[msgspec.Struct] | None) -> dict[str, Any]:
    """Say what msgspec leaves open: decimals also come as numbers, times are RFC 3339."""
    times = _time_fields(struct) if struct is not None else set()
    for name, value in schema.get("properties", {}).items():
        for part in _parts(value):
            if part.get("format") == "decimal" and part.get("type") == "string":
                part["type"] = ["string", "number"]
            elif name in times and part.get("type") == "string":
                part["format"] = "date-time"
    return schema


def _parts(schema: Any) -> Iterable[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for inner in schema.values():
            yield from _parts(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _parts(inner)


def _time_fields(struct: type[msgspec.Struct]) -> set[str]:
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    return {field.encode_name for field in info.fields if _is_time(field.type)}


def _is_time(info: inspect.Type) -> bool:
    if isinstance(info, inspect.Metadata):
        return _is_time(info.type)
    if isinstance(info, inspect.UnionType):
        return any(_is_time(member) for member in info.types)
    return isinstance(info, inspect.DateTimeType)


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library's metaclass
    """Documents the key of a machine."""

    target_class = "core.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """Return the scheme."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "af_xxxxxxxx_…"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library's metaclass
    """Documents the session of a person signed in to the admin."""

    target_class = "core.api.authentication.PageSessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """Return the scheme."""
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
