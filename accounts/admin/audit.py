"""What was refused on the console, in services and in scripts, and who saw an identity unmasked."""

from __future__ import annotations

import json

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import display

from accounts.admin.base import UntrackedAdmin
from accounts.models import IdentityReveal, RefusedAction
from accounts.selectors import actors


@admin.register(RefusedAction)
class RefusedActionAdmin(UntrackedAdmin):
    list_display = ("at", "actor_shown", "action", "code", "message", "on")
    list_filter = (("at", RangeDateTimeFilter),)
    list_filter_submit = True
    ordering = ("-at", "-pk")
    fields = list_display

    @display(description=_("by"))
    def actor_shown(self, refused: RefusedAction) -> str:
        return actors.in_words(refused.actor)

    @display(description=_("on"))
    def on(self, refused: RefusedAction) -> str:
        return ", ".join(f"{name} {json.dumps(value)}" for name, value in refused.subject.items())


@admin.register(IdentityReveal)
class IdentityRevealAdmin(UntrackedAdmin):
    list_display = ("at", "user", "customer", "reason")
    list_select_related = ("user", "customer")
    list_filter = (("at", RangeDateTimeFilter),)
    list_filter_submit = True
    ordering = ("-pk",)
    fields = list_display
