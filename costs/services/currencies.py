"""The currencies that amounts may be in, known to every process without asking for each event."""

from __future__ import annotations

import time

from costs.models import Currency

LOOK_EVERY_SECONDS = 60.0

# (code, name, minor units) of ISO 4217: those with a market of their own, and those whose minor units are not 2.
COMMON: tuple[tuple[str, str, int], ...] = (
    ("AED", "UAE dirham", 2),
    ("ARS", "Argentine peso", 2),
    ("AUD", "Australian dollar", 2),
    ("BDT", "Bangladeshi taka", 2),
    ("BGN", "Bulgarian lev", 2),
    ("BHD", "Bahraini dinar", 3),
    ("BRL", "Brazilian real", 2),
    ("CAD", "Canadian dollar", 2),
    ("CHF", "Swiss franc", 2),
    ("CLP", "Chilean peso", 0),
    ("CNY", "Chinese yuan", 2),
    ("COP", "Colombian peso", 2),
    ("CZK", "Czech koruna", 2),
    ("DKK", "Danish krone", 2),
    ("EGP", "Egyptian pound", 2),
    ("EUR", "Euro", 2),
    ("GBP", "Pound sterling", 2),
    ("HKD", "Hong Kong dollar", 2),
    ("HUF", "Hungarian forint", 2),
    ("IDR", "Indonesian rupiah", 2),
    ("ILS", "Israeli new shekel", 2),
    ("INR", "Indian rupee", 2),
    ("IQD", "Iraqi dinar", 3),
    ("ISK", "Icelandic króna", 0),
    ("JOD", "Jordanian dinar", 3),
    ("JPY", "Japanese yen", 0),
    ("KES", "Kenyan shilling", 2),
    ("KRW", "South Korean won", 0),
    ("KWD", "Kuwaiti dinar", 3),
    ("KZT", "Kazakhstani tenge", 2),
    ("LYD", "Libyan dinar", 3),
    ("MAD", "Moroccan dirham", 2),
    ("MXN", "Mexican peso", 2),
    ("MYR", "Malaysian ringgit", 2),
    ("NGN", "Nigerian naira", 2),
    ("NOK", "Norwegian krone", 2),
    ("NZD", "New Zealand dollar", 2),
    ("OMR", "Omani rial", 3),
    ("PEN", "Peruvian sol", 2),
    ("PHP", "Philippine peso", 2),
    ("PKR", "Pakistani rupee", 2),
    ("PLN", "Polish złoty", 2),
    ("PYG", "Paraguayan guaraní", 0),
    ("QAR", "Qatari riyal", 2),
    ("RON", "Romanian leu", 2),
    ("RSD", "Serbian dinar", 2),
    ("SAR", "Saudi riyal", 2),
    ("SEK", "Swedish krona", 2),
    ("SGD", "Singapore dollar", 2),
    ("THB", "Thai baht", 2),
    ("TND", "Tunisian dinar", 3),
    ("TRY", "Turkish lira", 2),
    ("TWD", "New Taiwan dollar", 2),
    ("UAH", "Ukrainian hryvnia", 2),
    ("UGX", "Ugandan shilling", 0),
    ("USD", "US dollar", 2),
    ("UYU", "Uruguayan peso", 2),
    ("VND", "Vietnamese đồng", 0),
    ("XAF", "Central African CFA franc", 0),
    ("XOF", "West African CFA franc", 0),
    ("ZAR", "South African rand", 2),
)

_known: frozenset[str] | None = None
_looked_at = 0.0


def known_codes() -> frozenset[str]:
    """Return the codes that amounts may be in, at most a minute behind the database."""
    global _known, _looked_at  # noqa: PLW0603  # one memory per process is the point
    if _known is None or time.monotonic() - _looked_at > LOOK_EVERY_SECONDS:
        _known = frozenset(Currency.objects.values_list("code", flat=True))
        _looked_at = time.monotonic()
    return _known


def forget() -> None:
    """Ask the database at the next call."""
    global _known  # noqa: PLW0603  # one memory per process is the point
    _known = None


def ensure_currencies() -> None:
    """Add the common currencies that are missing; what an operator changed stays."""
    missing = {row[0] for row in COMMON} - set(Currency.objects.values_list("code", flat=True))
    rows = [Currency(code=code, name=name, minor_units=units) for code, name, units in COMMON if code in missing]
    if rows:
        Currency.objects.bulk_create(rows, ignore_conflicts=True)
        forget()
