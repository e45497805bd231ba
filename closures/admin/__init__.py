"""The admin of the closing process: a base and one file per noun. Django's autodiscovery imports this."""

from closures.admin import (  # noqa: F401
    accounts,
    api,
    commands,
    holds,
    home,
    intake,
    machine,
    notices,
    tasks,
    tickets,
)
