"""The admin of the closing process: a base and one file per noun. Django's autodiscovery imports this."""

from closures.admin import (  # noqa: F401
    accounts,
    api,
    commands,
    complaint_pages,
    complaint_rows,
    complaints,
    evidence,
    holds,
    home,
    intake,
    machine,
    money,
    notices,
    reporting,
    retention,
    reversals,
    risk_alerts,
    risk_rules,
    tasks,
    tickets,
)
