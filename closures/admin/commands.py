"""Commands to the core ledger: what was told, what came back, and the one that a person tries again."""

from __future__ import annotations

from django.contrib import admin
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from accounts.admin.base import Dialog, state_badge
from accounts.admin.searching import ExactSearch
from closures.admin.base import TrackedAdmin
from closures.models import LedgerCommand
from closures.selectors import reasons
from closures.services import rescue


def revived(command: LedgerCommand, result: LedgerCommand) -> str:
    text = translate("Command %(key)s is sent again with the same key; its answer shows here.")
    return text % {"key": command.key}


REVIVE = Dialog(
    name="revive",
    label=_("Try again"),
    icon="refresh",
    transition="revive",
    call=rescue.revive_command,
    target="command_id",
    description=_("Sent again with the same key and a full number of attempts."),
    deciding=False,
    done=revived,
)


@admin.register(LedgerCommand)
class LedgerCommandAdmin(ExactSearch, TrackedAdmin):
    list_display = ("key", "verb", "state_shown", "age", "reason_shown", "attempts", "due_at")
    list_filter = ("state", "verb")
    search_fields = ("key",)
    search_help_text = _("The whole key.")
    ordering = ("-pk",)
    sortable_by = ("due_at",)
    fields = (
        "key",
        "verb",
        "amount",
        "reference",
        "state_shown",
        "state_since",
        "reason_shown",
        "attempts",
        "due_at",
    )
    dialogs = (REVIVE,)

    history_hidden = ("state_since",)  # the row's own moment says the same

    state_shown = state_badge()

    @display(description=_("since"), ordering="state_since")
    def age(self, command: LedgerCommand) -> str:
        return timesince(command.state_since, timezone.now(), depth=1)

    @display(description=_("reason"))
    def reason_shown(self, command: LedgerCommand) -> str:
        return reasons.code(command.reason_code) or "—"
