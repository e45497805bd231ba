"""`manage.py import_agreements FILE`: the partner agreements of accounts that are known."""

from accounts.imports.agreements import AgreementImport
from accounts.management.commands._import import ImportCommand


class Command(ImportCommand):
    help = (
        "Imports partner agreements. The same file twice changes nothing; agreements that are being "
        "unbound or are gone are left alone; lines of unknown accounts are rejected."
    )
    kind = AgreementImport
