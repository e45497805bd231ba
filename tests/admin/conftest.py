"""People at the console, and a world in which every noun has a row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessFailureLog
from django.test import Client
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.actors import SHIPPED, Actor
from accounts.models import IdentityReveal, RefusedAction, User
from accounts.roles import Role
from accounts.services import relationships
from closures.models import ApiCall, AppRequest, ClosureTicket, InvariantCheck, PartnerCallback, Sweep
from closures.services import api_clients, identity_codes, webhooks
from closures.services.risk import appeals
from tests import factories
from tests.admin import scenes
from tests.risk_cases import Desk
from tests.stage import Clock

PASSWORD = "correct horse battery"  # what factories.a_user sets


@pytest.fixture
def at_desk(db: None) -> Callable[..., Client]:
    """A browser with somebody of these roles signed in: `at_desk("agent")`, `at_desk(user=…)`."""

    def sign_in(*roles: str, user: User | None = None, language: str = "en") -> Client:
        client = Client()
        client.user = user or factories.a_user(*roles)
        client.force_login(client.user)
        client.cookies["django_language"] = language
        return client

    return sign_in


@pytest.fixture
def world(db: None) -> dict[str, Any]:
    """At least one row of every noun, made by the services where they can make it."""
    agent, lead, other = (factories.a_user(role) for role in (Role.AGENT, Role.LEAD, Role.REVIEWER))
    now = timezone.now()
    account = scenes.an_account()
    factories.an_agreement(account)
    ticket = scenes.unbinding(scenes.approved(scenes.examined(scenes.a_request(account, by=agent)), by=other))
    scenes.dead(ticket.tasks.get())
    scenes.dead_command(ticket)
    scenes.held(ticket, kind="JUDICIAL", by=lead)
    customer = Actor.customer(account.customer)
    identity_codes.issue(ticket_id=ticket.pk, purpose="STATUS_DETAILS", actor=customer, now=now)
    owing = scenes.an_account("JIEBEI", principal="800.00")
    scenes.examined(scenes.a_request(owing, by=agent))
    relationships.begin(
        customer_id=account.customer_id,
        lender_id=account.product.lender_id,
        started_on=date(2020, 1, 1),
        actor=SHIPPED,
        reason="test",
        now=now,
    )
    RefusedAction.objects.create(actor="staff:x", action="review.approve", code="same_reviewer", message="no")
    IdentityReveal.objects.create(at=now, user=lead, customer=account.customer, reason="call back")
    TOTPDevice.objects.create(user=agent, name="app")
    AccessAttempt.objects.create(username="x", ip_address="127.0.0.1", failures_since_start=1)
    AccessFailureLog.objects.create(username="x", ip_address="127.0.0.1")
    Sweep.objects.get_or_create(job="closures.assess")
    InvariantCheck.objects.create(number=1, checked_at=now, examined=3)
    PartnerCallback.objects.create(
        partner="ALIPAY", event_id="e1", kind="agreement.ended", body_sealed="", received_at=now
    )
    scenes.after_closing(agent)
    scenes.kept_and_destroyed(ticket, by=lead, now=now)
    an_app(ticket, now=now)
    scenes.a_campaign(by=lead, now=now)
    risk = Desk(Clock(now))
    appeals.enter(alert_id=risk.alert().pk, ground="the customer says it is paid", **risk.does("agent"))
    complaint = scenes.a_complaint(ticket, by=factories.a_user(Role.AGENT))
    return {
        "account": account,
        "complaint": complaint,
        "owing": owing,
        "ticket": ticket,
        "agent": agent,
        "lead": lead,
    }


def an_app(ticket: ClosureTicket, *, now: Any) -> None:
    """An app that asked for the ticket, with a call of it and its events."""
    client = api_clients.create(
        name="手机应用",
        scopes=["closures:write"],
        requests_per_minute=60,
        webhook_url="http://127.0.0.1:9/events",
        reason="test",
        actor=factories.staff(Role.SECURITY),
        now=now,
    ).client
    ApiCall.objects.create(client=client, nonce="n" * 16, received_at=now, expires_at=now)
    AppRequest.objects.create(
        ticket=ticket, client=client, assertion="FACE_COMPARED", asserted_at=now, received_at=now
    )
    webhooks.derive(now=now)


@pytest.fixture(autouse=True)
def no_collected_static(settings: Any) -> None:
    """WhiteNoise warns where `collectstatic` has not run; here it looks files up when asked."""
    settings.WHITENOISE_AUTOREFRESH = True


# A case at three moments, and the people around it


@pytest.fixture
def agent() -> User:
    return factories.a_user("agent")


@pytest.fixture
def reviewer() -> User:
    return factories.a_user("reviewer")


@pytest.fixture
def in_review(agent: User) -> ClosureTicket:
    account = scenes.an_account()
    factories.an_agreement(account)
    return scenes.examined(scenes.a_request(account, by=agent))


@pytest.fixture
def stuck(in_review: ClosureTicket, reviewer: User) -> ClosureTicket:
    """Unbinding, its task dead, a command dead, a hold open."""
    ticket = scenes.unbinding(scenes.approved(in_review, by=reviewer))
    scenes.dead(ticket.tasks.get())
    scenes.dead_command(ticket)
    scenes.held(ticket, kind="LEGAL", by=reviewer)
    return ticket
