"""Production refuses to start with anything that would make it unsafe; each rule, and the real processes."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS
from pytest_django import Settings

from accounts.models import CreditProduct, Regulation
from config import checks, system_checks
from config.settings import local

ROOT = Path(__file__).resolve().parents[2]
LOCAL_SECRET = "a local secret"


def key(byte: int) -> str:
    return base64.b64encode(bytes([byte]) * 32).decode()


def fit() -> dict[str, Any]:
    """Settings with which production may start."""
    system = {"url": "https://partner.example", "key_id": "k1", "secret": "s" * 32}
    return {
        "DEBUG": False,
        "SECRET_KEY": "x" * 50,
        "FIELD_KEYS": f"k2:{key(2)},k1:{key(1)}",
        "INDEX_KEY": key(3),
        "STATUS_LINK_KEY": "l" * 50,
        "PUBLIC_URL": "https://status.example",
        "STAFF_OTP_REQUIRED": True,
        "STEP_UP_REQUIRED": True,
        "LOCAL_PARTNER_SECRET": LOCAL_SECRET,
        "SIMULATOR_URL": "http://127.0.0.1:8931",
        "PARTNER_PRIVATE_ADDRESSES_ALLOWED": False,
        "PARTNERS": {"ALIPAY": {"gateway": "generic", **system}, "JD": {"gateway": "manual"}},
        "LEDGER": system,
        "SMS": system,
        "CALLBACK_SECRETS": {"ALIPAY": ["one", "two"], "SMS": ["three"]},
        "POLICY_MINIMUM": timedelta(days=1),
        **{name: getattr(django_settings, name) for name in checks.TIMEOUT_CHAIN},
    }


def found(**changed: Any) -> list[str]:
    return [problem.id for problem in checks.problems({**fit(), **changed})]


def with_partner(**changed: str) -> dict[str, Any]:
    return {"ALIPAY": {**fit()["PARTNERS"]["ALIPAY"], **changed}}


# --- Each rule ----------------------------------------------------------------------------------------


def test_settings_that_are_fit_start() -> None:
    assert found() == []
    checks.refuse(fit())


@pytest.mark.parametrize(
    ("problem", "changed"),
    [
        ("config.E001", {"DEBUG": True}),
        ("config.E002", {"SECRET_KEY": ""}),
        ("config.E002", {"SECRET_KEY": local.local_key("secret")}),
        ("config.E002", {"SECRET_KEY": "django-insecure-" + "x" * 50}),
        ("config.E002", {"SECRET_KEY": "short"}),
        ("config.E002", {"SECRET_KEY_FALLBACKS": [local.local_key("secret")]}),
        ("config.E003", {"FIELD_KEYS": ""}),
        ("config.E003", {"FIELD_KEYS": f"local:{local.local_key('field')}"}),
        ("config.E003", {"FIELD_KEYS": f"renamed:{local.local_key('field')}"}),
        ("config.E003", {"FIELD_KEYS": f"k1:{key(1)},old:{local.local_key('field')}"}),
        ("config.E003", {"FIELD_KEYS": f"k1:{key(1)[:20]}"}),
        ("config.E003", {"FIELD_KEYS": key(1)}),
        ("config.E004", {"INDEX_KEY": ""}),
        ("config.E020", {"STATUS_LINK_KEY": ""}),
        ("config.E020", {"STATUS_LINK_KEY": "short"}),
        ("config.E020", {"STATUS_LINK_KEY": "x" * 50}),  # SECRET_KEY
        ("config.E020", {"STATUS_LINK_KEY": local.local_key("status")}),
        ("config.E020", {"STATUS_LINK_KEY_FALLBACKS": [local.local_key("status")]}),
        ("config.E020", {"PUBLIC_URL": ""}),
        ("config.E020", {"PUBLIC_URL": "http://status.example"}),
        ("config.E004", {"INDEX_KEY": local.local_key("index")}),
        ("config.E004", {"INDEX_KEY": "not base64!"}),
        ("config.E004", {"INDEX_KEY": key(2)}),
        ("config.E005", {"STAFF_OTP_REQUIRED": False}),
        ("config.E005", {"STEP_UP_REQUIRED": False}),
        ("config.E006", {"PARTNERS": with_partner(secret=LOCAL_SECRET)}),
        ("config.E006", {"PARTNERS": with_partner(secret="")}),
        ("config.E006", {"LEDGER": {"url": "https://core.example", "secret": LOCAL_SECRET}}),
        ("config.E006", {"CALLBACK_SECRETS": {"ALIPAY": ["one", LOCAL_SECRET], "SMS": ["three"]}}),
        ("config.E006", {"CALLBACK_SECRETS": {"ALIPAY": [], "SMS": ["three"]}}),
        ("config.E006", {"CALLBACK_SECRETS": {"ALIPAY": ["one"], "JD": [LOCAL_SECRET], "SMS": ["three"]}}),
        ("config.E007", {"PARTNERS": with_partner(url="http://127.0.0.1:8931/partners/ALIPAY")}),
        ("config.E007", {"SMS": {"url": "", "secret": "three"}}),
        ("config.E007", {"PARTNER_PRIVATE_ADDRESSES_ALLOWED": True}),
        ("config.E008", {"POLICY_MINIMUM": timedelta(hours=23)}),
        ("config.E008", {"POLICY_MINIMUM": timedelta(0)}),
        ("config.E012", {"FAILPOINT": "unbind.after_call"}),
    ],
)
def test_what_production_refuses(problem: str, changed: dict[str, Any]) -> None:
    assert found(**changed) == [problem]
    with pytest.raises(ImproperlyConfigured, match=problem):
        checks.refuse({**fit(), **changed})


@pytest.mark.parametrize("n", range(len(checks.TIMEOUT_CHAIN) - 1))
def test_each_timeout_is_below_the_next(n: int) -> None:
    shorter, longer = checks.TIMEOUT_CHAIN[n : n + 2]
    assert "config.E009" in found(**{shorter: fit()[longer]})


def test_the_timeouts_hold_here_too() -> None:
    checks.refuse(system_checks.present(), ids=checks.EVERYWHERE)
    assert checks.EVERYWHERE == ("config.E009",)


def test_everything_that_is_wrong_is_named_at_once_and_no_secret_is() -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        checks.refuse({**fit(), "DEBUG": True, "SECRET_KEY": "hunter2hunter2", "FIELD_KEYS": "k:hunter2"})
    text = str(refused.value)
    assert [id for id in checks.RULES if id in text] == ["config.E001", "config.E002", "config.E003"]
    assert "hunter2" not in text


def test_every_key_of_the_local_settings_is_known_here() -> None:
    purposes = ("secret", "field", "index", "status")
    assert {local.local_key(purpose) for purpose in purposes} == checks.LOCAL_KEYS


def test_the_local_settings_would_not_start_in_production() -> None:
    ids = {message.id for message in run_checks(include_deployment_checks=True) if message.id}
    assert {f"config.E00{n}" for n in (2, 3, 4, 5, 6, 7, 8)} <= ids


# --- What stands in the database ----------------------------------------------------------------------


def on_database() -> list[str]:
    messages = run_checks(databases=[DEFAULT_DB_ALIAS], tags=["database"])
    return [message.id or "" for message in messages if (message.id or "").startswith("config.")]


@pytest.mark.django_db
def test_a_policy_under_a_day_is_found(settings: Settings) -> None:
    CreditProduct.objects.filter(code="JIEBEI").update(settle_window=timedelta(seconds=3))
    assert on_database() == [], "the demonstration may"
    settings.POLICY_MINIMUM = timedelta(days=1)
    assert on_database() == ["config.E010"]


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["", "at night"])
def test_quiet_hours_that_are_empty_are_found(value: str, settings: Settings) -> None:
    settings.POLICY_MINIMUM = timedelta(days=1)
    assert on_database() == []
    Regulation.objects.filter(code="QUIET_HOURS").update(value=value)
    assert on_database() == ["config.E011"]


@pytest.mark.django_db
def test_quiet_hours_that_nobody_set_are_found(settings: Settings) -> None:
    settings.POLICY_MINIMUM = timedelta(days=1)
    Regulation.objects.filter(code="QUIET_HOURS").update(code="QUIET_HOURS_BEFORE")
    assert on_database() == ["config.E011"]


# --- The real processes -------------------------------------------------------------------------------

PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "SECRET_KEY": "p" * 50,
    "FIELD_KEYS": f"k1:{key(1)}",
    "INDEX_KEY": key(3),
    "STATUS_LINK_KEY": "l" * 50,
    "PUBLIC_URL": "https://status.example",
    "DEBUG": "0",
    "STAFF_OTP_REQUIRED": "1",
    "STEP_UP_REQUIRED": "1",
    "SIMULATOR_SECRET": "every partner's own would be better",
    "CELERY_BROKER_URL": "memory://",
    **{
        f"{name}_URL": f"https://{name.lower().replace('_', '-')}.example"
        for name in ("LEDGER", "SMS", *(f"PARTNER_{code}" for code in django_settings.PARTNERS))
    },
}
PROCESSES = {
    "manage.py": ["manage.py", "check"],
    "gunicorn": ["-m", "gunicorn", "--check-config", "config.wsgi"],
    "celery": ["-m", "celery", "-A", "config", "worker", "--pool", "solo", "--loglevel", "ERROR"],
}


def start(process: str, tmp_path: Path, **changed: str) -> subprocess.CompletedProcess[str]:
    """The process as an operator would start it, with production's settings and an own empty database."""
    environment = {
        **os.environ,
        **PRODUCTION,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        **changed,
    }
    return subprocess.run(
        [sys.executable, *PROCESSES[process]],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("process", PROCESSES)
def test_no_process_starts_with_a_local_key_or_without_a_second_factor(process: str, tmp_path: Path) -> None:
    done = start(process, tmp_path, SECRET_KEY=local.local_key("secret"), STAFF_OTP_REQUIRED="0")
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "config.E002" in said and "config.E005" in said


@pytest.mark.parametrize("process", ["gunicorn"])
def test_a_process_starts_when_everything_is_fit(process: str, tmp_path: Path) -> None:
    done = start(process, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
