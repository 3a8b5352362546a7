"""Customers: who was promised something, and whom to tell."""

from __future__ import annotations

import re
from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from core import audit
from core.errors import Conflict, FieldError, Invalid
from slas.models import Customer

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")


@transaction.atomic
def create_customer(
    *, slug: str, name: str, now: datetime, contact_name: str = "", contact_email: str = ""
) -> Customer:
    """Make a customer. Raises Invalid for senseless values, Conflict for a slug in use."""
    errors = [] if SLUG.fullmatch(slug) else [FieldError("/slug", "invalid", "a slug has a-z, 0-9 and -")]
    if not name.strip():
        errors.append(FieldError("/name", "required", "a customer has a name"))
    if contact_email and not _is_email(contact_email):
        errors.append(FieldError("/contact_email", "invalid", "this is no e-mail address"))
    if errors:
        raise Invalid("; ".join(error.detail for error in errors), errors=errors)
    try:
        with transaction.atomic():
            customer = Customer.objects.create(
                slug=slug, name=name.strip(), contact_name=contact_name, contact_email=contact_email, created_at=now
            )
    except IntegrityError as error:
        raise Conflict(f"there is a customer {slug}", code="slug_taken") from error
    audit.record("customer.created", customer, now=now, after={"slug": slug, "name": name})
    return customer


@transaction.atomic
def erase_contact(email: str, *, now: datetime) -> int:
    """Take a contact's name and address off every customer that has it; return how many did."""
    found = list(Customer.objects.filter(contact_email__iexact=email).order_by("pk"))
    for customer in found:
        Customer.objects.filter(pk=customer.pk).update(contact_name="", contact_email="")
        audit.record("customer.contact_erased", customer, now=now)
    return len(found)


def _is_email(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True
