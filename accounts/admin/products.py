"""Credit products: what closing them gives up, what is known and how surely, and the closing policy."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language, gettext, gettext_noop
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldBooleanWidget

from accounts.admin.base import Dialog, DialogForm, Menu, ReadOnlyAdmin, held_by, state_badge
from accounts.admin.columns import yes
from accounts.admin.forms import PeriodField, WhyForm, reason_field, spoken
from accounts.admin.overviews import brand
from accounts.models import Certainty, CreditProduct
from accounts.models.products import EDIT
from accounts.services import products

POLICY: tuple[str, ...] = (
    "cooling_off",
    "notice_lead",
    "settle_window",
    "straight_through",
    "sampling_percent",
)
CERTAINTY_COLOURS = {"C": "success", "RUN": "success", "OURS": "info", "C-": "warning", "GK": "warning"}


class PolicyForm(DialogForm):
    cooling_off = PeriodField(
        label=_("Cooling-off"), help_text=_("Such as 7d, 12h or 1d 30m. From approval to the first act.")
    )
    notice_lead = PeriodField(
        label=_("Notice lead"), help_text=_("From the proved arrival of a notice of closing.")
    )
    settle_window = PeriodField(
        label=_("Partner settle window"), help_text=_("How long a partner's status may take to settle.")
    )
    straight_through = forms.BooleanField(
        label=_("Spotless requests go straight through"), required=False, widget=UnfoldBooleanWidget
    )
    sampling_percent = forms.IntegerField(
        label=_("Sampled for review, %"), min_value=0, max_value=100, widget=UnfoldAdminIntegerFieldWidget
    )
    reason = reason_field()


def move_dialog(name: str, label: Any, *, icon: str, variant: ActionVariant, done: str) -> Dialog:
    return Dialog(
        name=name,
        label=label,
        icon=icon,
        variant=variant,
        transition=name,
        call=getattr(products, name),
        target="product_id",
        form=WhyForm,
        done=lambda product, result: gettext(done) % {"product": brand(result)},
    )


@admin.register(CreditProduct)
class CreditProductAdmin(ReadOnlyAdmin):
    list_display = (
        "code",
        "brand_shown",
        "lender",
        "kind",
        "state_shown",
        "cooling_off_shown",
        "notice_lead_shown",
        "straight_shown",
        "version",
    )
    list_filter = ("state",)
    list_select_related = ("lender",)
    ordering = ("code",)
    fields = (
        "code",
        "brand_shown",
        "lender",
        "platform",
        "kind",
        "state_shown",
        "agreement_version",
        "version",
    )
    change_form_outer_after_template = "admin/accounts/product.html"

    state_shown = state_badge()
    straight_shown = yes("straight_through", description=_("straight through"))

    dialogs = (
        Dialog(
            name="edit_policy",
            label=_("Edit the closing policy"),
            icon="tune",
            variant=ActionVariant.PRIMARY,
            permission=held_by(EDIT),
            possible=lambda product: product.state != CreditProduct.State.WITHDRAWN,
            call=products.edit_policy,
            target="product_id",
            form=PolicyForm,
            initial=lambda product: {name: getattr(product, name) for name in POLICY},
            description=_(
                "For tickets opened from now on. Open tickets keep the policy they were opened with."
            ),
            done=lambda product, result: (
                gettext("%(product)s is closed by policy version %(version)s from the next ticket on.")
                % {"product": brand(result), "version": result.version}
            ),
        ),
        Menu(
            title=_("Market"),
            icon="storefront",
            dialogs=(
                move_dialog(
                    "offer",
                    _("Offer"),
                    icon="storefront",
                    variant=ActionVariant.DEFAULT,
                    done=gettext_noop("%(product)s is on the market."),
                ),
                move_dialog(
                    "suspend",
                    _("Suspend"),
                    icon="pause",
                    variant=ActionVariant.WARNING,
                    done=gettext_noop(
                        "%(product)s is off the market for now. Its accounts and closings go on."
                    ),
                ),
                move_dialog(
                    "resume",
                    _("Offer again"),
                    icon="play_arrow",
                    variant=ActionVariant.DEFAULT,
                    done=gettext_noop("%(product)s is on the market again."),
                ),
                move_dialog(
                    "withdraw",
                    _("Withdraw from the market"),
                    icon="block",
                    variant=ActionVariant.DANGER,
                    done=gettext_noop(
                        "%(product)s has left the market for good. Its accounts and closings go on."
                    ),
                ),
            ),
        ),
    )

    @display(description=_("brand"), ordering="brand")
    def brand_shown(self, product: CreditProduct) -> str:
        return brand(product)

    @display(description=_("cooling-off"), ordering="cooling_off")
    def cooling_off_shown(self, product: CreditProduct) -> str:
        return spoken(product.cooling_off)

    @display(description=_("notice lead"), ordering="notice_lead")
    def notice_lead_shown(self, product: CreditProduct) -> str:
        return spoken(product.notice_lead)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        product = self.get_object(request, object_id)
        context = {"product": as_read(product)} if product else {}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})


def as_read(product: CreditProduct) -> dict[str, Any]:
    """The product's texts and policy in the reader's language, each text with how sure it is."""
    return {
        "policy": [(label_of(product, name), spoken(getattr(product, name))) for name in POLICY[:3]],
        "straight_through": product.straight_through,
        "sampling_percent": product.sampling_percent,
        "closing_path": sure(product.closing_path),
        "softer_alternative": sure(product.softer_alternative),
        "effects": [sure(effect) for effect in product.effects],
        "facts": [sure(fact) for fact in product.facts],
    }


def label_of(product: Any, name: str) -> Any:
    return product._meta.get_field(name).verbose_name


def sure(text: dict[str, Any]) -> dict[str, Any]:
    """One text of the product with its certainty in words and colour; blank when there is none."""
    language = get_language() or "zh-hans"
    certainty = text.get("certainty", "")
    return {
        "text": text.get(language) or text.get("zh-hans", ""),
        "certainty": dict(Certainty.choices).get(certainty, certainty),
        "colour": CERTAINTY_COLOURS.get(certainty, ""),
        "source": text.get("source", ""),
    }
