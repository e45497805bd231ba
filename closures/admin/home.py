"""The home page: the work that waits for whoever signed in, each list with the page that shows all of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.roles import LABELS, Role
from accounts.selectors import actors
from accounts.services import calendar
from closures.admin import (
    after_cards,
    campaign_cards,
    complaint_cards,
    keeping_cards,
    machine,
    risk_cards,
)
from closures.admin.base import brand
from closures.admin.cards import Card, Row, ago, days_left, page_of
from closures.models import InvariantCheck
from closures.selectors import reasons, worklists
from closures.selectors.worklists import Worklist


def by_age(ticket: Any, now: datetime) -> Row:
    who = ticket.requested_by.name if ticket.requested_by else ticket.get_channel_display()
    note = f"{brand(ticket.account.product)} · {ticket.account.customer.customer_no} · {who}"
    if ticket.answer_due_on:
        note += " · " + gettext("answer by %(day)s") % {"day": ticket.answer_due_on}
    late = bool(ticket.answer_due_on) and days_left(ticket.answer_due_on, now) < 3
    return Row(
        what=ticket.number, note=note, when=ago(ticket.state_since, now), url=page_of(ticket), late=late
    )


def by_reason(ticket: Any, now: datetime) -> Row:
    row = by_age(ticket, now)
    return Row(
        what=row.what,
        note=f"{ticket.get_reason_display()} · {row.note}",
        when=row.when,
        url=row.url,
        late=row.late,
    )


def by_answer(ticket: Any, now: datetime) -> Row:
    left = days_left(ticket.answer_due_on, now)
    when = gettext("today") if left == 0 else str(ticket.answer_due_on)
    note = f"{brand(ticket.account.product)} · {ticket.account.customer.customer_no}"
    return Row(what=ticket.number, note=note, when=when, url=page_of(ticket), late=left < 3)


def by_state(ticket: Any, now: datetime) -> Row:
    row = by_age(ticket, now)
    return Row(what=row.what, note=f"{ticket.get_state_display()} · {row.note}", when=row.when, url=row.url)


def of_task(task: Any, now: datetime) -> Row:
    note = " · ".join(
        filter(None, [task.agreement.get_kind_display(), task.ticket.number, reasons.code(task.reason_code)])
    )
    return Row(what=str(task.agreement), note=note, when=ago(task.state_since, now), url=page_of(task))


def of_command(command: Any, now: datetime) -> Row:
    ticket = command.ticket.number if command.ticket else ""
    note = " · ".join(filter(None, [command.account.account_no, ticket, reasons.code(command.reason_code)]))
    return Row(
        what=command.get_verb_display(), note=note, when=ago(command.state_since, now), url=page_of(command)
    )


def of_webhook(webhook: Any, now: datetime) -> Row:
    note = f"{webhook.client.name} · {webhook.ticket.number} · {reasons.code(webhook.reason_code)}"
    return Row(
        what=webhook.get_kind_display(), note=note, when=ago(webhook.state_since, now), url=page_of(webhook)
    )


def of_letter(notice: Any, now: datetime) -> Row:
    note = notice.get_kind_display()
    return Row(what=notice.about, note=note, when=ago(notice.sent_at, now), url=page_of(notice))


def of_alarm(callback: Any, now: datetime) -> Row:
    return Row(
        what=f"{callback.partner} · {machine.kind(callback.kind)}",
        note=reasons.heard(callback.detail),
        when=ago(callback.received_at, now),
        url=page_of(callback),
        late=True,
    )


def of_refusal(refused: Any, now: datetime) -> Row:
    return Row(
        what=f"{refused.action}: {refused.code}",
        note=f"{actors.in_words(refused.actor)} · {refused.message}",
        when=ago(refused.at, now),
        url=page_of(refused),
    )


def of_proposal(row: Any, now: datetime) -> Row:
    note = gettext("from %(day)s") % {"day": row.valid_from}
    return Row(what=f"{row.code} = {row.value or '—'}", note=note, when="", url=page_of(row))


def of_person(user: Any, now: datetime) -> Row:
    return Row(what=str(user), note=user.get_state_display(), when="", url=page_of(user))


CARDS: dict[str, Card] = {
    **complaint_cards.CARDS,
    **keeping_cards.CARDS,
    **after_cards.CARDS,
    **campaign_cards.CARDS,
    **risk_cards.CARDS,
    "OWN_REVIEW": Card(
        title=_("Customers' requests to decide"),
        nothing=_("No request waits for your decision."),
        icon="rule",
        page="closures_closureticket",
        line=by_age,
    ),
    "ADVERSE_REVIEW": Card(
        title=_("Risk and policy closings to decide"),
        nothing=_("No risk or policy closing waits for your decision."),
        icon="policy",
        page="closures_closureticket",
        line=by_reason,
    ),
    "NOTICE_WAIVERS": Card(
        title=_("Notice waivers to grant"),
        nothing=_("Nobody has asked for a notice waiver."),
        icon="mark_email_unread",
        page="closures_closureticket",
        line=by_reason,
    ),
    "CANCELLATIONS": Card(
        title=_("Late cancellations to agree to"),
        nothing=_("Nobody has asked to cancel a closing under way."),
        icon="undo",
        page="closures_closureticket",
        line=by_state,
    ),
    "UNDELIVERED": Card(
        title=_("Notices of closing that have not arrived"),
        nothing=_("Every notice of closing has arrived."),
        icon="schedule_send",
        page="closures_closureticket",
        line=by_reason,
    ),
    "LETTERS": Card(
        title=_("Letters whose proof is missing"),
        nothing=_("No letter waits for its proof."),
        icon="local_post_office",
        page="closures_notice",
        line=of_letter,
    ),
    "TASK_WAIVERS": Card(
        title=_("Unbinding waivers to grant"),
        nothing=_("Nobody has asked for an unbinding waiver."),
        icon="link_off",
        page="closures_unbindtask",
        line=of_task,
    ),
    "PROPOSALS": Card(
        title=_("Regulations to decide"),
        nothing=_("No proposed value waits for you."),
        icon="gavel",
        page="accounts_regulation",
        line=of_proposal,
    ),
    "BLOCKED": Card(
        title=_("Blocked, soonest answer first"),
        nothing=_("No request is blocked."),
        icon="block",
        page="closures_closureticket",
        line=by_answer,
    ),
    "UNPROVED": Card(
        title=_("Identity not proved yet"),
        nothing=_("Every request has its identity proved."),
        icon="badge",
        page="closures_closureticket",
        line=by_answer,
    ),
    "MY_REQUESTS": Card(
        title=_("What you asked for and is still open"),
        nothing=_("Nothing that you asked for is open."),
        icon="assignment_ind",
        page="closures_closureticket",
        line=by_state,
    ),
    "DEAD_TASKS": Card(
        title=_("Dead unbinding tasks"),
        nothing=_("No unbinding task is dead."),
        icon="link_off",
        page="closures_unbindtask",
        line=of_task,
        danger=True,
    ),
    "MANUAL_TASKS": Card(
        title=_("Unbinding by hand"),
        nothing=_("Nothing has to be done by hand."),
        icon="back_hand",
        page="closures_unbindtask",
        line=of_task,
    ),
    "EVIDENCE": Card(
        title=_("Evidence to confirm"),
        nothing=_("No evidence waits for a second person."),
        icon="fact_check",
        page="closures_unbindtask",
        line=of_task,
    ),
    "UNKNOWN_TASKS": Card(
        title=_("Fate unknown or partner out of reach, oldest first"),
        nothing=_("The fate of every call is known."),
        icon="help",
        page="closures_unbindtask",
        line=of_task,
    ),
    "DEAD_COMMANDS": Card(
        title=_("Ledger commands that are stuck"),
        nothing=_("No ledger command is stuck."),
        icon="terminal",
        page="closures_ledgercommand",
        line=of_command,
        danger=True,
    ),
    "DEAD_WEBHOOKS": Card(
        title=_("Dead webhooks"),
        nothing=_("Every app has heard what it should."),
        icon="webhook",
        page="closures_webhook",
        line=of_webhook,
        danger=True,
    ),
    "ALARMS": Card(
        title=_("Alarms from partners"),
        nothing=_("No partner's message raised an alarm."),
        icon="notification_important",
        page="closures_partnercallback",
        line=of_alarm,
        danger=True,
    ),
    "REFUSALS": Card(
        title=_("Refused in the last seven days"),
        nothing=_("Nothing was refused."),
        icon="do_not_disturb_on",
        page="accounts_refusedaction",
        line=of_refusal,
    ),
    "INVITED": Card(
        title=_("Invited, not yet active"),
        nothing=_("Everybody who was invited is active."),
        icon="person_add",
        page="accounts_user",
        line=of_person,
    ),
    "WITHOUT_ROLE": Card(
        title=_("Staff without a role"),
        nothing=_("Everybody has a role."),
        icon="no_accounts",
        page="accounts_user",
        line=of_person,
    ),
}

INVARIANTS = {
    1: _("no closed ticket with unfinished tasks"),
    2: _("no adverse closing without its notice"),
    3: _("requester, decider, waiver, evidence: two people"),
    4: _("one open ticket per account"),
    5: _("due dates recompute to the same day"),
    6: _("nothing owed at the moment of closing"),
    7: _("repayment agreements live until the debt is zero"),
    8: _("one partner effect per task"),
    9: _("complaints decided in time"),
    10: _("retention dates long enough"),
    11: _("every row equals its newest history"),
    12: _("no personal data where none belongs"),
}

CALENDAR = {
    "CALENDAR_MISSING": _(
        "The work calendar of %(year)s is missing: due dates that reach it cannot be given."
    ),
    "CALENDAR_PROVISIONAL": _(
        "The work calendar of %(year)s is provisional: load the State Council's notice."
    ),
}

PULSE = "closures.view_sweep"


def dashboard(request: Any, context: dict[str, Any]) -> dict[str, Any]:
    """The home page's context (UNFOLD DASHBOARD_CALLBACK); queries are bounded however much work there is."""
    now, user = timezone.now(), request.user
    held = set(user.groups.values_list("name", flat=True))
    context["title"] = gettext("Home")
    context["greeting"] = user.get_full_name()
    context["roles"] = [str(LABELS[role]) for role in Role if role in held]
    context["may_request"] = user.has_perm("closures.request_closure")
    cards = [shown(found, now=now) for found in worklists.lists_for(user, now=now)]
    # What waits comes first; lists that are empty say so in one line each below.
    context["waiting"] = [card for card in cards if card["count"]]
    context["quiet"] = [card for card in cards if not card["count"]]
    if user.has_perm(PULSE):
        context["pulse"] = heartbeat(now=now)
    if user.has_perm(PULSE) or user.has_perm(calendar.EDIT):
        context["calendar"] = [
            str(CALENDAR[alert.code]) % {"year": alert.year} for alert in calendar.alerts(now=now)
        ]
        context["may_load"] = user.has_perm(calendar.EDIT)
    return context


def shown(found: Worklist, *, now: datetime) -> dict[str, Any]:
    card = CARDS[found.code]
    return {
        "code": found.code,
        "title": card.title,
        "nothing": card.nothing,
        "icon": card.icon,
        "danger": card.danger,
        "rows": [card.line(row, now) for row in found.rows],
        "count": found.count,
        "count_text": f"{found.count}+" if found.capped else str(found.count),
        "url": reverse(f"admin:{card.page}_changelist")
        + (f"?{urlencode(found.filters)}" if found.filters else ""),
    }


def heartbeat(*, now: datetime) -> dict[str, Any]:
    pulse = worklists.pulse(now=now)
    return {
        "stopped": pulse.stopped,
        "ticked": ago(pulse.ticked_at, now),
        "failing": [(machine.job(sweep.job), sweep) for sweep in pulse.failing],
        "checks": [check_line(check) for check in pulse.checks],
        "checked": ago(min((check.checked_at for check in pulse.checks), default=None), now),
        "broken": len(pulse.broken),
        "sweeps_url": reverse("admin:closures_sweep_changelist"),
        "checks_url": reverse("admin:closures_invariantcheck_changelist"),
    }


def check_line(check: InvariantCheck) -> dict[str, Any]:
    return {"number": check.number, "text": INVARIANTS.get(check.number, ""), "violations": check.violations}
