"""Pages of growing lists: by keyset, so that page 1,000 costs what page 1 costs and nothing is shown twice."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode

import msgspec
from django.core import signing
from django.core.exceptions import ValidationError
from django.db.models import Field, Model, Q, QuerySet
from msgspec import Meta
from rest_framework.request import Request

from core.api.problems import Problem
from core.errors import FieldError

ModelT = TypeVar("ModelT", bound=Model)
ItemT = TypeVar("ItemT")
DEFAULT_SIZE = 50
LARGEST_SIZE = 500

Limit = Annotated[int, Meta(ge=1, le=LARGEST_SIZE, description=f"Items per page, at most {LARGEST_SIZE}.")]
Cursor = Annotated[str, Meta(max_length=1000, description="Where the page begins: taken from `next`, never made up.")]


class PageQuery(msgspec.Struct, kw_only=True):
    """The query parameters of every paged list; the list's own struct inherits them."""

    limit: Limit = DEFAULT_SIZE
    cursor: Cursor = ""


class CursorPage(msgspec.Struct, Generic[ItemT], kw_only=True):
    """One page: its items, and the address of the next page or null."""

    items: list[ItemT]
    next: str | None


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a list: one field, ties broken by the primary key in the same direction."""

    field: str = "pk"
    descending: bool = True


def paginate(
    request: Request,
    rows: QuerySet[ModelT],
    *,
    page: PageQuery,
    order: Order,
    show: Callable[[ModelT], ItemT],
) -> CursorPage[ItemT]:
    """Return one page of `rows` in this order, each as `show` makes it. Raises Problem 400 for an invalid cursor.

    The order's field must not be null. Rows added while a client reads are seen or not by their place in the order;
    none is repeated or skipped.
    """
    salt = f"cursor:{request.path}:{order.field}:{order.descending}"
    sign = "-" if order.descending else ""
    ordering = ["pk"] if order.field in {"pk", "id"} else [order.field, "pk"]
    if page.cursor:
        rows = rows.filter(_after(rows.model, ordering, order, _opened(page.cursor, salt)))
    found = list(rows.order_by(*(sign + name for name in ordering))[: page.limit + 1])
    shown = found[: page.limit]
    more = len(found) > page.limit
    return CursorPage(
        items=[show(row) for row in shown],
        next=_address(request, _closed(shown[-1], ordering, salt)) if more else None,
    )


def _after(model: type[Model], ordering: list[str], order: Order, values: list[str]) -> Q:
    """Return the condition of rows behind the cursor; its first term alone lets an index find the place."""
    beyond, from_here = ("lt", "lte") if order.descending else ("gt", "gte")
    try:
        keys = [_field(model, name).to_python(value) for name, value in zip(ordering, values, strict=True)]
    except (ValidationError, ValueError, TypeError) as error:
        raise _invalid_cursor() from error
    if len(keys) == 1:
        return Q(**{f"pk__{beyond}": keys[0]})
    first = ordering[0]
    return Q(**{f"{first}__{from_here}": keys[0]}) & (
        Q(**{f"{first}__{beyond}": keys[0]}) | Q(**{f"pk__{beyond}": keys[1]})
    )


def _field(model: type[Model], name: str) -> Field[Any, Any]:
    field = model._meta.pk if name == "pk" else model._meta.get_field(name)
    assert isinstance(field, Field)
    return field


def _closed(row: Model, ordering: list[str], salt: str) -> str:
    values = [_field(type(row), name).value_to_string(row) for name in ordering]
    packed = base64.urlsafe_b64encode(msgspec.json.encode(values)).decode().rstrip("=")
    return signing.Signer(salt=salt, sep=".").sign(packed)


def _opened(cursor: str, salt: str) -> list[str]:
    try:
        packed = signing.Signer(salt=salt, sep=".").unsign(cursor)
        return msgspec.json.decode(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)), type=list[str])
    except (signing.BadSignature, binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise _invalid_cursor() from error


def _invalid_cursor() -> Problem:
    detail = "the cursor is not one this list gave out; start again without it"
    return Problem(400, detail, code="invalid_cursor", errors=[FieldError("/cursor", "invalid_cursor", detail)])


def _address(request: Request, cursor: str) -> str:
    parameters = request.GET.copy()
    parameters["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{urlencode(list(_pairs(parameters)))}")


def _pairs(parameters: Any) -> list[tuple[str, str]]:
    return [(name, value) for name, values in parameters.lists() for value in values]
