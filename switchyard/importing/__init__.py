"""Import the files of other switchers: each becomes a Switchyard document, with notes on what changes."""

from switchyard.importing.accounts import from_accounts, is_accounts
from switchyard.importing.imported import Imported, UnknownFormat
from switchyard.importing.legacy import from_legacy, is_legacy
from switchyard.importing.merging import ImportReport, merge
from switchyard.importing.recognition import recognise, recognise_other
from switchyard.importing.router import from_router, is_router

__all__ = [
    "ImportReport",
    "Imported",
    "UnknownFormat",
    "from_accounts",
    "from_legacy",
    "from_router",
    "is_accounts",
    "is_legacy",
    "is_router",
    "merge",
    "recognise",
    "recognise_other",
]
