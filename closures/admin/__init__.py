"""The admin of the closing process: a base and one file per noun. Django's autodiscovery imports this."""

from closures.admin import (  # noqa: F401
    accounts,
    commands,
    evidence,
    holds,
    home,
    intake,
    machine,
    notices,
    reporting,
    retention,
    tasks,
    tickets,
)
