"""`manage.py import_accounts FILE`: customers and their accounts, from an extract of the core ledger."""

from accounts.imports.accounts import AccountImport
from accounts.management.commands._import import ImportCommand


class Command(ImportCommand):
    help = (
        "Imports customers, identities, lender relationships and accounts. The same file twice changes "
        "nothing; a newer extract updates with history; an older one never overwrites newer data."
    )
    kind = AccountImport
