"""The legal numbers the product counts with: one row each, with its source and how sure it is.

Only clocks and limits that something in the product reads. Everything that is not confirmed is a row all
the same, so that compliance can put a better number in its place without a release.
"""

from __future__ import annotations

from datetime import date

from accounts.models import Certainty, Regulation

C, WEAK, GENERAL, OURS = Certainty.CONFIRMED, Certainty.WEAK, Certainty.GENERAL, Certainty.OURS

APP_RULES = date(2019, 11, 28)  # 国信办秘字〔2019〕191号
COMPLAINT_RULES = date(2020, 3, 1)  # CBIRC order 2020 no 3
CREDIT_BUREAU_RULES = date(2013, 3, 15)  # 征信业管理条例
PERSONAL_DATA_LAW = date(2021, 11, 1)  # 个人信息保护法
MONEY_LAUNDERING_LAW = date(2025, 1, 1)  # 反洗钱法, the revision of 2024-11-08
SLEEPING_CARDS = date(2022, 7, 7)
COLLECTION_STANDARD = date(2025, 3, 13)
OUR_CHOICES = date(2026, 1, 1)  # the product has no due date of its own before this day

COMPLAINTS = "银行业保险业消费投诉处理管理办法 (CBIRC order 2020 no 3), article unconfirmed"
COLLECTION = "互联网金融 个人网络消费信贷 贷后催收风控指引 （announced 2025-03-13）"

# code: (value, unit, zh, en, source, certainty, valid from). Source: FACTS §2 (L-numbers), §4.
ROWS: dict[str, tuple[str, str, str, str, str, Certainty, date]] = {
    "ANSWER_DUE": (
        "15",
        "working_days",
        "注销申请答复时限",
        "Answer to a closing request",
        "App违法违规收集使用个人信息行为认定方法 part 6 item 3; GB/T 35273-2020 §8.5; wording unconfirmed",
        GENERAL,
        APP_RULES,
    ),
    "COMPLAINT_SIMPLE": (
        "15",
        "calendar_days",
        "投诉处理时限（简单）",
        "Complaint, simple",
        COMPLAINTS,
        C,
        COMPLAINT_RULES,
    ),
    "COMPLAINT_COMPLEX": (
        "30",
        "calendar_days",
        "投诉处理时限（复杂）",
        "Complaint, complex",
        COMPLAINTS,
        C,
        COMPLAINT_RULES,
    ),
    "COMPLAINT_EXTENSION": (
        "30",
        "calendar_days",
        "投诉处理延长（经上级高级管理层批准）",
        "Complaint, extension approved by senior management",
        COMPLAINTS,
        C,
        COMPLAINT_RULES,
    ),
    "COMPLAINT_REVIEW_REQUEST": (
        "30",
        "calendar_days",
        "投诉核查申请期限",
        "Complainant may ask for a review within",
        COMPLAINTS,
        GENERAL,
        COMPLAINT_RULES,
    ),
    "COMPLAINT_REVIEW_DECISION": (
        "30",
        "calendar_days",
        "投诉核查决定时限",
        "Review of a complaint decided within",
        COMPLAINTS,
        GENERAL,
        COMPLAINT_RULES,
    ),
    "COMPLAINT_TARGET": (
        "10",
        "working_days",
        "投诉办理内部目标",
        "Complaint, our own target",
        "Our choice: two thirds of the statutory time of a simple complaint",
        OURS,
        OUR_CHOICES,
    ),
    "BUREAU_DISPUTE": (
        "20",
        "calendar_days",
        "征信异议核查处理时限",
        "Credit-bureau dispute verified and answered",
        "征信业管理条例 art. 25",
        C,
        CREDIT_BUREAU_RULES,
    ),
    "BUREAU_CORRECTION": (
        "20",
        "calendar_days",
        "征信更正时限（误关闭撤销后，参照异议处理）",
        "Credit report corrected after a wrongful closing",
        "Our choice, by analogy with 征信业管理条例 art. 25",
        OURS,
        OUR_CHOICES,
    ),
    "RETENTION_YEARS": (
        "10",
        "years",
        "客户资料与交易记录保存期（业务关系结束后）",
        "Records kept after the end of the relationship",
        "反洗钱法 （2024） art. 34",
        C,
        MONEY_LAUNDERING_LAW,
    ),
    "DESTRUCTION_WAIT": (
        "30",
        "calendar_days",
        "销毁批准后的等待期",
        "Wait between the approval of a destruction and the erasure",
        "Our choice: a mistake found within a month can still be undone",
        OURS,
        OUR_CHOICES,
    ),
    "CREDIT_ADVERSE_YEARS": (
        "5",
        "years",
        "不良信息保存期（不良行为终止后）",
        "Adverse credit information kept after the event ended",
        "征信业管理条例 art. 16",
        C,
        CREDIT_BUREAU_RULES,
    ),
    "PIA_YEARS": (
        "3",
        "years",
        "个人信息保护影响评估报告保存期",
        "Privacy impact assessments kept",
        "个人信息保护法 arts. 55-56",
        C,
        PERSONAL_DATA_LAW,
    ),
    "POSTING_WINDOW": (
        "45",
        "calendar_days",
        "关闭后入账观察期（参照信用卡销户惯例）",
        "Window for late postings, by analogy with cards",
        "Practice of card cancellation; 商业银行信用卡业务监督管理办法, article unconfirmed",
        WEAK,
        OUR_CHOICES,
    ),
    "DORMANT_MONTHS": (
        "18",
        "months",
        "长期睡眠认定（参照信用卡）",
        "Dormant after, by analogy with cards",
        "关于进一步促进信用卡业务规范健康发展的通知 (2022-07-07), for cards; here an analogy",
        C,
        SLEEPING_CARDS,
    ),
    "SLEEPING_SHARE": (
        "20",
        "percent",
        "睡眠账户占比上限（参照信用卡）",
        "Largest share of dormant lines, by analogy with cards",
        "关于进一步促进信用卡业务规范健康发展的通知 (2022-07-07), for cards; here an analogy",
        C,
        SLEEPING_CARDS,
    ),
    "QUIET_HOURS": (
        "22:00-08:00",
        "local_time_range",
        "涉及还款的消息免打扰时段",
        "No message that asks for money",
        COLLECTION,
        C,
        COLLECTION_STANDARD,
    ),
    "NOTICE_CAP_PER_NUMBER_DAY": (
        "3",
        "times_per_day",
        "涉及还款的消息每号码每日上限",
        "Messages that ask for money, per number and day",
        f"Our choice, after the limit on effective voice contacts in {COLLECTION}",
        OURS,
        OUR_CHOICES,
    ),
}


def regulations() -> list[Regulation]:
    """One unsaved row per number, in force from the day its act took effect (our choices: 2026-01-01)."""
    return [
        Regulation(
            code=code,
            title={"zh-hans": zh, "en": en},
            value=value,
            unit=unit,
            source=source,
            certainty=certainty,
            valid_from=valid_from,
            state=Regulation.State.IN_FORCE,
            shipped=True,
        )
        for code, (value, unit, zh, en, source, certainty, valid_from) in ROWS.items()
    ]
