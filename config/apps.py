"""The console's admin site as an app, and what must hold before any process of ours starts."""

from django.contrib.admin.apps import AdminConfig


class ConsoleConfig(AdminConfig):
    default_site = "accounts.admin.site.ConsoleSite"

    def ready(self) -> None:
        super().ready()
        from config import checks, system_checks  # noqa: PLC0415 - the checks read models, ready only now

        checks.refuse(system_checks.present(), ids=checks.EVERYWHERE)
