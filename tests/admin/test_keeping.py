"""Evidence, retention and bureau files at the console: buttons, downloads, and who is found how."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Customer, User
from closures.models import BureauReport, ClosureTicket, DeletionRequest, DestructionList, EvidencePack
from closures.services.evidence import verify_pack
from tests import factories
from tests.admin import scenes
from tests.admin.scenes import dialog_url, page

pytestmark = pytest.mark.django_db


@pytest.fixture
def done(stuck: ClosureTicket, reviewer: User) -> ClosureTicket:
    return scenes.closed(stuck, by=reviewer)


def test_a_pack_is_made_from_the_tickets_page_and_downloaded(
    at_desk: Any, done: ClosureTicket, reviewer: User
) -> None:
    client = at_desk(user=reviewer)
    assert "Make an evidence pack" in page(client, done)
    answer = client.post(dialog_url(done, "pack"), {"for_outside": "on"})
    assert answer.status_code == 302
    pack = EvidencePack.objects.get()
    assert not pack.with_silent_holds
    assert pack.number in page(client, done)
    shown = client.get(reverse("admin:closures_evidencepack_change", args=[pack.pk])).content.decode()
    assert pack.digest in shown and "verify_pack.py" in shown
    file = client.get(reverse("admin:closures_evidencepack_download", args=[pack.pk]))
    assert file["Content-Type"] == "application/zip" and "no-store" in file["Cache-Control"]
    assert file["Content-Disposition"] == f'attachment; filename="{pack.number}.zip"'
    assert verify_pack.verify(file.content, pack.digest)["ticket"] == done.number


def test_an_agent_makes_none_and_downloads_none(at_desk: Any, done: ClosureTicket, reviewer: User) -> None:
    scenes.signed_in(reviewer).post(dialog_url(done, "pack"), {})
    pack = EvidencePack.objects.get()
    client = at_desk("agent")
    assert "Make an evidence pack" not in page(client, done)
    assert client.post(dialog_url(done, "pack"), {}).status_code == 403
    download = client.get(reverse("admin:closures_evidencepack_download", args=[pack.pk]))
    assert download.status_code in (403, 404)


def test_a_pack_with_a_silent_hold_does_not_exist_for_who_may_not_know_of_it(
    at_desk: Any, done: ClosureTicket, reviewer: User
) -> None:
    scenes.signed_in(reviewer).post(dialog_url(done, "pack"), {})
    pack = EvidencePack.objects.get()
    assert pack.with_silent_holds
    from django.contrib.auth.models import Permission  # noqa: PLC0415

    user = factories.a_user()
    codenames = ("view_evidencepack", "view_closureticket", "make_evidence_pack")
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = at_desk(user=user)
    assert pack.number not in page(client, done)
    download = client.get(reverse("admin:closures_evidencepack_download", args=[pack.pk]))
    assert download.status_code == 404


def test_a_download_needs_a_fresh_sign_in(
    settings: Any, at_desk: Any, done: ClosureTicket, reviewer: User
) -> None:
    scenes.signed_in(reviewer).post(dialog_url(done, "pack"), {"for_outside": "on"})
    settings.STEP_UP_REQUIRED, settings.STEP_UP_MAX_AGE = True, timedelta(seconds=-1)
    url = reverse("admin:closures_evidencepack_download", args=[EvidencePack.objects.get().pk])
    answer = at_desk(user=reviewer).get(url)
    assert answer.status_code == 302 and "again=1" in answer["Location"]


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_certificate_is_a_pdf_or_a_page_that_says_why_not(
    settings: Any, at_desk: Any, done: ClosureTicket, language: str
) -> None:
    client = at_desk("agent", language=language)
    url = reverse("admin:closures_closureticket_certificate_pdf", args=[done.pk])
    file = client.get(url)
    assert file["Content-Type"] == "application/pdf" and "no-store" in file["Cache-Control"]
    assert file.content.startswith(b"%PDF-")
    settings.CJK_FONT = "/nowhere/NoFont.ttc"
    shown = client.get(url)
    assert shown.status_code == 200 and "NoFont.ttc" in shown.content.decode()
    assert done.certificate_no in shown.content.decode()


def test_a_deletion_is_asked_for_and_answered_at_the_console(at_desk: Any) -> None:
    customer = scenes.an_account().customer
    agent = at_desk("agent")
    assert agent.post(dialog_url(customer, "ask_deletion"), {}).status_code == 302
    request = DeletionRequest.objects.get()
    reviewer = at_desk("reviewer")
    home = reviewer.get("/admin/").context
    lists = {card["code"]: card for card in [*home["waiting"], *home["quiet"]]}
    assert [row.what for row in lists["DELETIONS"]["rows"]] == [request.number]
    assert reviewer.get(dialog_url(request, "answer")).status_code == 200
    assert reviewer.post(dialog_url(request, "answer"), {}).status_code == 302
    assert DeletionRequest.objects.get().state == "ANSWERED"
    assert agent.post(dialog_url(request, "answer"), {}).status_code == 403


def propose(client: Client) -> DestructionList:
    assert client.post(reverse("admin:destruction_propose"), {"csrf": "x"}).status_code == 302
    return DestructionList.objects.latest("pk")


def test_a_destruction_is_proposed_and_approved_by_two(at_desk: Any) -> None:
    customer = scenes.former_customer(until=timezone.localdate())
    lead = at_desk("compliance_lead")
    row = propose(lead)
    body = {"ground": "over", "seen_digest": row.digest}
    shown = lead.get(reverse("admin:closures_destructionlist_change", args=[row.pk])).content.decode()
    assert customer.customer_no in shown and "Approve the destruction" not in shown
    assert "somebody else has to approve" in lead.post(dialog_url(row, "approve"), body).content.decode()
    second = at_desk("compliance_lead")
    opened = second.get(dialog_url(row, "approve")).content.decode()
    assert customer.customer_no in opened and row.digest in opened
    assert second.post(dialog_url(row, "approve"), body).status_code == 302
    row.refresh_from_db()
    assert row.state == "APPROVED"
    assert row.wait_ends_on == timezone.localdate() + timedelta(days=30)


def test_one_customer_is_taken_off_from_the_lists_page(at_desk: Any) -> None:
    scenes.former_customer(until=timezone.localdate())
    reviewer = at_desk("reviewer")
    row = propose(reviewer)
    item = row.items.get()
    shown = reviewer.get(reverse("admin:closures_destructionlist_change", args=[row.pk])).content.decode()
    assert dialog_url(item, "take_off") in shown
    assert reviewer.post(dialog_url(item, "take_off"), {"ground": "lawsuit"}).status_code == 302
    assert row.items.get().state == "SKIPPED"


def test_a_file_for_the_bureau_is_downloaded_and_its_receipt_entered(
    at_desk: Any, world: dict[str, Any]
) -> None:
    client, report = at_desk("compliance_lead"), BureauReport.objects.get()
    file = client.get(reverse("admin:closures_bureaureport_download", args=[report.pk]))
    assert "no-store" in file["Cache-Control"] and file.content.startswith("\ufeffaccount_no".encode())
    assert client.post(dialog_url(report, "submit"), {"receipt_no": "ZX-1"}).status_code == 302
    report.refresh_from_db()
    assert (report.state, report.receipt_no) == ("SUBMITTED", "ZX-1")


def test_who_is_only_stored_is_found_by_his_number_alone(at_desk: Any) -> None:
    customer = scenes.former_customer(until=timezone.localdate())
    other = factories.a_person()
    for model in ("customer", "customeridentity"):
        url = reverse(f"admin:accounts_{model}_changelist")
        agent, auditor = at_desk("agent"), at_desk("auditor")
        assert customer.customer_no not in agent.get(url).content.decode()
        assert other.customer_no in agent.get(url).content.decode()
        assert customer.customer_no in agent.get(url, {"q": customer.customer_no}).content.decode()
        assert customer.customer_no in auditor.get(url).content.decode()


def test_the_intake_finds_him_by_id_number_and_not_by_phone_alone(at_desk: Any) -> None:
    customer = factories.a_person(
        known={"phone": "19912345678", "id_number": "990000199003071234"}, standing="RESTRICTED"
    )
    client, url = at_desk("agent"), reverse("admin:intake")
    assert "Nobody is on file" in client.post(url, {"phone": "19912345678"}).content.decode()
    found = client.post(url, {"id_number": "990000199003071234"})
    assert found.status_code == 302
    assert customer.customer_no in client.get(found["Location"]).content.decode()


@pytest.mark.parametrize(("language", "said"), [("en", "Data restricted since"), ("zh-hans", "起仅作存储")])
def test_his_page_says_since_when(at_desk: Any, language: str, said: str) -> None:
    customer = factories.a_person()
    from accounts.actors import SHIPPED  # noqa: PLC0415
    from accounts.tracking import move  # noqa: PLC0415

    day = timezone.now() - timedelta(days=40)
    move(customer, "restrict", actor=SHIPPED, reason="test", now=day)
    client = at_desk("agent", language=language)
    shown = client.get(reverse("admin:accounts_customer_change", args=[customer.pk])).content.decode()
    assert said in shown and timezone.localtime(day).strftime("%Y-%m-%d") in shown
    assert Customer.objects.get(pk=customer.pk).standing == "RESTRICTED"
