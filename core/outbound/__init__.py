"""Everything that leaves the platform to an address that a person entered goes through here.

Requests reach public addresses only (and what OUTBOUND_ALLOWED_PRIVATE_CIDRS names), on a few ports, follow no
redirects, use no proxy, end by a deadline and read at most 64 KB of the answer.
"""

from core.outbound.client import Answer, parse, request
from core.outbound.connections import OutboundError, Reach, Refused, Unreachable

__all__ = ["Answer", "OutboundError", "Reach", "Refused", "Unreachable", "parse", "request"]
