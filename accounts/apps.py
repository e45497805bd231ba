"""Starts the app: signals that keep sign-in quiet in history, and the shipped rows after migrate."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        from accounts import shipped  # noqa: PLC0415 - models are ready only now

        # No sender: roles need the permissions of apps whose turn comes after ours.
        post_migrate.connect(shipped.after_migrate, dispatch_uid="accounts.shipped")
