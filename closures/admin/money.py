"""Money after closing: what waits, for how long, whose it is, and the buttons that settle it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as translate
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.enums import ActionVariant

from accounts.admin.base import Dialog, held_by, plain, state_badge
from accounts.admin.searching import ExactSearch
from closures.admin.base import TrackedAdmin
from closures.admin.forms import ConfirmForm, PaymentForm
from closures.models import PostClosureItem
from closures.selectors import after_closing, casefile
from closures.services import later_money

State = PostClosureItem.State
Direction = PostClosureItem.Direction
SETTLE = "closures.settle_later_money"


def is_his(item: PostClosureItem) -> bool:
    return item.direction == Direction.TO_CUSTOMER


def says(text: Any) -> Callable[[PostClosureItem, PostClosureItem], str]:
    """A message with the item's number, its amount, and what comes next."""
    return lambda item, result: (
        str(text)
        % {
            "number": item.number,
            "amount": casefile.yuan(item.amount),
            "next": after_closing.money_next(result),
        }
    )


DIALOGS = (
    Dialog(
        name="pay_out",
        label=_("Pay out to the customer"),
        icon="payments",
        variant=ActionVariant.PRIMARY,
        transition="pay_out",
        possible=is_his,
        call=later_money.pay_out,
        target="item_id",
        description=lambda item: (
            translate("The core ledger returns %(amount)s to the customer, once.")
            % {"amount": casefile.yuan(item.amount)}
        ),
        done=says(_("%(number)s: %(amount)s is being paid out. Next – %(next)s")),
    ),
    Dialog(
        name="book",
        label=_("Book as receivable"),
        icon="receipt_long",
        variant=ActionVariant.PRIMARY,
        transition="book",
        possible=lambda item: not is_his(item),
        call=later_money.book_receivable,
        target="item_id",
        description=_("The customer owes it. The account stays closed; he is asked apart from it."),
        done=says(_("%(number)s: %(amount)s is receivable. Next – %(next)s")),
    ),
    Dialog(
        name="settle",
        label=_("Record the payment"),
        icon="price_check",
        transition="settle",
        call=later_money.settle_receivable,
        target="item_id",
        form=PaymentForm,
        deciding=False,
        done=says(_("%(number)s: %(amount)s is settled.")),
    ),
    Dialog(
        name="ask_write_off",
        label=_("Ask for a write-off"),
        icon="help",
        permission=held_by(SETTLE),
        possible=lambda item: item.state == State.RECEIVABLE and item.write_off_asked_by_id is None,
        call=later_money.ask_write_off,
        target="item_id",
        description=_("The customer would owe nothing any more. A second person decides."),
        done=says(_("A write-off of %(number)s is asked for. Next – %(next)s")),
    ),
    Dialog(
        name="write_off",
        label=_("Write off"),
        icon="gavel",
        variant=ActionVariant.DANGER,
        transition="write_off",
        possible=lambda item: item.write_off_asked_by_id is not None,
        hidden_from=lambda item, user: item.write_off_asked_by_id == user.pk,
        call=later_money.write_off,
        target="item_id",
        description=_("You are the second person. The customer owes nothing any more."),
        done=says(_("%(number)s: %(amount)s is written off.")),
    ),
    Dialog(
        name="take_on",
        label=_("Take on"),
        icon="person_add",
        permission=held_by(SETTLE),
        possible=lambda item: item.state in PostClosureItem.OPEN,
        hidden_from=lambda item, user: item.owner_id == user.pk,
        call=later_money.take_on,
        target="item_id",
        form=ConfirmForm,
        description=_("You answer for its age until it has ended."),
        deciding=False,
        done=says(_("%(number)s is yours. Next – %(next)s")),
    ),
)


class Open(admin.SimpleListFilter):
    """What has not ended, oldest first: the list by age."""

    title = _("open")
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("open, oldest first")), ("no", _("ended"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "yes":
                return queryset.filter(state__in=PostClosureItem.OPEN)
            case "no":
                return queryset.exclude(state__in=PostClosureItem.OPEN)
        return queryset


@admin.register(PostClosureItem)
class PostClosureItemAdmin(ExactSearch, TrackedAdmin):
    list_display = (
        "number",
        "account_shown",
        "kind",
        "direction",
        "amount_shown",
        "state_shown",
        "age",
        "owner_shown",
        "next_shown",
    )
    list_filter = (Open, "state", "kind", "direction", "source")
    search_fields = ("number", "account__account_no", "ticket__number", "external_ref")
    search_help_text = _("The whole number of the item, account or ticket, or the ledger's reference.")
    ordering = ("-pk",)
    sortable_by = ("age",)
    fields = (
        "number",
        "account",
        "ticket",
        "kind",
        "direction",
        "amount_shown",
        "state_shown",
        "state_since",
        "next_shown",
        "age",
        "owner_shown",
        "source",
        "external_ref",
        "takes_back",
        "named",
        "repeats",
        "occurred_at",
        "found_at",
        "paid_from",
        "command_shown",
        "proof",
        "asked_from",
        "written_off_from",
        "offset_with",
        "ended_at",
    )
    history_hidden = ("state_since",)
    dialogs = DIALOGS

    state_shown = state_badge()
    owner_shown = plain("owner", description=_("owner"))
    paid_from = plain("paid_by", description=_("payout ordered by"))
    command_shown = plain("command", description=_("command"))
    asked_from = plain("write_off_asked_by", description=_("write-off asked by"))
    written_off_from = plain("written_off_by", description=_("written off by"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        people = ("owner", "paid_by", "write_off_asked_by", "written_off_by")
        around = ("account", "ticket", "command", "offset_with", *people)
        return super().get_queryset(request).select_related(*around)

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """What waits is read oldest first, everything else newest first."""
        waiting = request.GET.get(Open.parameter_name) == "yes"
        return ("found_at", "pk") if waiting else ("-pk",)

    @display(description=_("account"))
    def account_shown(self, item: PostClosureItem) -> str:
        return item.account.account_no

    @display(description=_("amount"))
    def amount_shown(self, item: PostClosureItem) -> str:
        return casefile.yuan(item.amount)

    @display(description=_("age"), ordering="found_at")
    def age(self, item: PostClosureItem) -> str:
        return timesince(item.found_at, item.ended_at or timezone.now(), depth=1)

    @display(description=_("what comes next"))
    def next_shown(self, item: PostClosureItem) -> str:
        return after_closing.money_next(item)
