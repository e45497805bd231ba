"""The rules that come with the product, all in DRAFT: an institution tests and activates them itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from accounts.actors import SHIPPED
from accounts.bulk import create_many
from accounts.shipped.install import REASON, columns
from closures.models import RiskRule, RiskSwitch
from closures.models.risk import Severity

MONTH = timedelta(days=30)
Action = RiskRule.Action

# Source of the tiers: 金融资产风险分类办法 (FACTS L19). Amounts, shares, caps and lengths are our choice.
ROWS: tuple[dict[str, Any], ...] = (
    {
        "code": "OVERDUE_30",
        "title": "逾期三十天",
        "title_en": "Thirty days past due",
        "condition": "days_past_due >= 30 and days_past_due < 60",
        "action": Action.MONITOR,
        "severity": Severity.LOW,
        "sentence": "您的账户已逾期三十天以上，请尽快还款。",
        "sentence_en": "Your account is more than thirty days past due. Please repay soon.",
    },
    {
        "code": "OVERDUE_60",
        "title": "逾期六十天",
        "title_en": "Sixty days past due",
        "condition": "days_past_due >= 60 and days_past_due < 90",
        "action": Action.FREEZE,
        "severity": Severity.MEDIUM,
        "freeze_length": MONTH,
        "sentence": "您的账户已逾期六十天以上，额度暂停使用，还款不受影响。",
        "sentence_en": "Your account is more than sixty days past due. New use is paused; repaying is not.",
    },
    {
        "code": "OVERDUE_90",
        "title": "逾期九十天",
        "title_en": "Ninety days past due",
        "condition": "days_past_due >= 90 and open_ticket = False",
        "action": Action.PROPOSE_CLOSING,
        "severity": Severity.HIGH,
        "sentence": "您的账户已逾期九十天以上，我们正在考虑终止该信贷服务，决定由专人作出。",
        "sentence_en": "Your account is more than ninety days past due. A person decides whether it ends.",
    },
    {
        "code": "OVER_EXTENDED",
        "title": "多产品共债",
        "title_en": "Over-extended across products",
        "condition": "products_held >= 3 and exposure >= 50000 and limit_use >= 80",
        "action": Action.MONITOR,
        "severity": Severity.MEDIUM,
        "sentence": "您在多个产品上的欠款合计较高，请留意还款能力。",
        "sentence_en": "What you owe over several products is high. Please see to it that you can repay it.",
    },
    {
        "code": "DORMANT",
        "title": "长期无使用",
        "title_en": "Dormant",
        "condition": "owed = 0 and credit_balance = 0 and pending_orders = 0 and instalments_remaining = 0 "
        "and days_past_due = 0 and open_ticket = False and limit_use = 0",
        "action": Action.MONITOR,
        "severity": Severity.LOW,
        "sentence": "您的额度目前没有使用；如不再需要，可随时申请关闭。",
        "sentence_en": "Your line is not in use. If you do not need it, you may ask to close it at any time.",
    },
    {
        "code": "HIGH_USE_WORSE",
        "title": "高额度使用且逾期加重",
        "title_en": "High limit use with worsening arrears",
        "condition": "limit_use >= 90 and worse = True",
        "action": Action.FREEZE,
        "severity": Severity.HIGH,
        "freeze_length": timedelta(days=15),
        "sentence": "您的额度接近用满且逾期加重，额度暂停使用，还款不受影响。",
        "sentence_en": "Your limit is nearly used up and arrears grow. New use is paused; repaying is not.",
    },
)
COMMON = {"cap_per_run": 500, "cap_per_day": 1000, "dedupe_window": MONTH}


def after_migrate(*, using: str, now: datetime, apps: Any = None) -> None:
    """The switch and every shipped rule exist; what people have made of them is left alone. Safe to repeat.

    Nothing happens on another database, nor while the tables are not those of today's models.
    """
    if using != DEFAULT_DB_ALIAS or not _up_to_date(apps):
        return
    if not RiskSwitch.objects.exists():
        _ship([RiskSwitch(pk=1)], now=now)
    codes = set(RiskRule.objects.values_list("code", flat=True))
    _ship(
        [
            RiskRule(**{**COMMON, **row}, edited_at=now, state_since=now)
            for row in ROWS
            if row["code"] not in codes
        ],
        now=now,
    )


def _ship(rows: list[Any], *, now: datetime) -> None:
    create_many(rows, actor=SHIPPED, reason=REASON, now=now)


def _up_to_date(state: Any) -> bool:
    return state is None or all(
        columns(state.all_models["closures"].get(model._meta.model_name)) == columns(model)
        for tracked in (RiskRule, RiskSwitch)
        for model in (tracked, tracked.history.model)
    )
