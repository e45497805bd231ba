"""What people type into the console: reasons, periods. A field never holds personal data by design."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.widgets import INPUT_CLASSES, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from accounts.admin.dialogs import DialogForm

PARTS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
SPOKEN = {"天": "d", "日": "d", "小时": "h", "时": "h", "分钟": "m", "分": "m", "秒": "s"}
LONGEST = timedelta(days=3660)


def reason_field() -> forms.CharField:
    return forms.CharField(
        label=_("Reason"),
        max_length=300,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=_("Kept in the history. Write no name, ID number or phone number."),
    )


def day_input() -> forms.DateInput:
    """The browser's own date picker: Unfold's needs scripts that a dialog does not load."""
    return forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "class": " ".join(INPUT_CLASSES)})


class WhyForm(DialogForm):
    """A reason and nothing else, for the services of people, products and rules."""

    reason = reason_field()


class PeriodField(forms.Field):
    """A length of time as people write it: 7d, 1d 12h, 30s; 天, 小时, 分 and 秒 are understood too."""

    widget = UnfoldAdminTextInputWidget
    default_error_messages = {"period": _("Write a period such as 7d, 12h or 1d 30m.")}

    def prepare_value(self, value: Any) -> Any:
        return written(value) if isinstance(value, timedelta) else value

    def to_python(self, value: Any) -> timedelta | None:
        text = str(value or "").strip().lower()
        if not text:
            return None
        for word, letter in SPOKEN.items():
            text = text.replace(word, letter)
        if len(text) > 40 or not re.fullmatch(r"\s*(\d{1,6}\s*[dhms]\s*)+", text):
            raise forms.ValidationError(self.error_messages["period"], code="period")
        found: dict[str, int] = {}
        for amount, letter in re.findall(r"(\d+)\s*([dhms])", text):
            found[PARTS[letter]] = found.get(PARTS[letter], 0) + int(amount)
        period = timedelta(**found)
        if period > LONGEST:
            raise forms.ValidationError(self.error_messages["period"], code="period")
        return period


def written(period: timedelta) -> str:
    """A period as `PeriodField` reads it."""
    days, rest = period.days, period.seconds
    parts = [(days, "d"), (rest // 3600, "h"), (rest % 3600 // 60, "m"), (rest % 60, "s")]
    return " ".join(f"{amount}{letter}" for amount, letter in parts if amount) or "0s"


def spoken(period: timedelta) -> str:
    """A period in the reader's language: “7 days”, “1 day 12 hours”."""
    days, rest = period.days, period.seconds
    hours, minutes, seconds = rest // 3600, rest % 3600 // 60, rest % 60
    parts = [
        ngettext("%(n)d day", "%(n)d days", days) % {"n": days} if days else "",
        ngettext("%(n)d hour", "%(n)d hours", hours) % {"n": hours} if hours else "",
        ngettext("%(n)d minute", "%(n)d minutes", minutes) % {"n": minutes} if minutes else "",
        ngettext("%(n)d second", "%(n)d seconds", seconds) % {"n": seconds} if seconds else "",
    ]
    return " ".join(filter(None, parts)) or str(_("none"))
