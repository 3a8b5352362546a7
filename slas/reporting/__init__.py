"""Reports: inputs are gathered and frozen, a document is laid out from them alone, files are made of the document."""

from slas.reporting.document import LAYOUT, Document, Section, document
from slas.reporting.files import files_of
from slas.reporting.freezing import canonical, sha256
from slas.reporting.gathering import gather, subject_name

__all__ = [
    "LAYOUT",
    "Document",
    "Section",
    "canonical",
    "document",
    "files_of",
    "gather",
    "sha256",
    "subject_name",
]
