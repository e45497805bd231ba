"""The four products as compliance finds them on the first day: texts, effects, facts, closing policy.

What a page on the web claims and no better source confirms carries its label, and its wording promises
nothing. How long somebody must wait before opening a product again is unknown and therefore not said.
"""

from __future__ import annotations

from typing import Any

from accounts.models import Certainty, CreditProduct, Lender
from accounts.shipped import sources as src
from accounts.shipped import wording
from accounts.shipped.sources import of

C, WEAK, GENERAL, OURS = Certainty.CONFIRMED, Certainty.WEAK, Certainty.GENERAL, Certainty.OURS
AGREEMENT_VERSION = "2026-11"


def products(lenders: dict[str, Lender]) -> list[CreditProduct]:
    """One unsaved, offered row per product; `lenders` by code. Source: FACTS §1.

    The closing policy is our choice: a week to think it over, thirty days of notice, a day for a partner's
    status to settle, and every request reviewed by a person until compliance decides otherwise.
    """
    return [
        CreditProduct(
            code=code,
            lender=lenders[row["lender"]],
            state=CreditProduct.State.OFFERED,
            agreement_version=f"{code}-{AGREEMENT_VERSION}",
            effects=[*wording.EVERY_CLOSING, *row["effects"]],
            facts=[*row["facts"], *wording.FACTS_OF_ALL],
            **{name: row[name] for name in CARRIED},
        )
        for code, row in ROWS.items()
    ]


CARRIED = ("brand", "brand_en", "platform", "kind", "closing_path", "softer_alternative")


def fact(zh: str, en: str, certainty: Certainty, source: str) -> dict[str, str]:
    return {"zh-hans": zh, "en": en, "certainty": certainty.value, "source": source}


def text(zh: str, en: str, certainty: Certainty) -> dict[str, str]:
    return {"zh-hans": zh, "en": en, "certainty": certainty.value}


ROWS: dict[str, dict[str, Any]] = {
    "HUABEI": {
        "brand": "花呗",
        "brand_en": "Huabei",
        "lender": "ANT_CONSUMER_FINANCE",
        "platform": "支付宝",
        "kind": CreditProduct.Kind.CONSUMER_PAY,
        "closing_path": text(
            "支付宝 App：我的 → 花呗 → 设置 → 产品建议及服务管理 → 关闭花呗；"
            "或 我的 → 用户保护中心 → 服务管理·服务关闭 → 花呗 → 关闭。页面名称可能随版本变化。",
            "Alipay app: Me → Huabei → Settings → Product suggestions and service management → Close "
            "Huabei; or Me → User protection centre → Close a service → Huabei → Close. Names may "
            "change by version.",
            WEAK,
        ),
        "softer_alternative": text(
            "如只想少用，可以申请降低额度或暂停使用，无需关闭。",
            "To use it less, ask for a lower limit or a pause; closing is not needed.",
            WEAK,
        ),
        "effects": [
            wording.effect(
                "LINKED_SERVICES",
                "借呗、备用金等相关服务可能受影响，以该服务自己的页面为准。",
                "Related services such as Jiebei or the reserve fund may be affected; see that "
                "service's page.",
                WEAK,
            ),
        ],
        "facts": [
            fact(
                "花呗由蚂蚁消费金融提供；银行出资的部分显示为“信用购”，是另一家机构的额度，关闭花呗不关闭它。",
                "Huabei is Ant Consumer Finance's own line; bank-funded credit is shown as "
                "Xinyonggou, another lender's line, and closing Huabei does not close it.",
                C,
                of(src.CJYUN, src.HK01, src.VBNVBN),
            ),
            fact(
                "前放款机构为重庆市蚂蚁小微小额贷款（名称未证实），已在过渡期内退出。",
                "The former lender, Ant Xiaowei micro-loan of Chongqing (name unconfirmed), has withdrawn.",
                WEAK,
                of(src.XIAOTU, src.CJYUN),
            ),
            fact(
                "未还清或未出账的款项（含分期）、未确认收货的订单、未解除的免押授权会阻止关闭。",
                "Unpaid or unbilled amounts (instalments too), unconfirmed orders and deposit-free "
                "authorisations still in place stand in the way of closing.",
                WEAK,
                of(src.CSAI, src.ZHUNGEN, src.WUYIUYAN),
            ),
            fact(
                "关闭后免密支付和自动扣款协议仍然有效，可能改扣银行卡。",
                "Password-free and automatic-payment agreements stay signed and may fall through to a card.",
                WEAK,
                src.GOLANG17,
            ),
        ],
    },
    "JIEBEI": {
        "brand": "借呗",
        "brand_en": "Jiebei",
        "lender": "ANT_CONSUMER_FINANCE",
        "platform": "支付宝",
        "kind": CreditProduct.Kind.CASH_LOAN,
        "closing_path": text(
            "支付宝 App：我的 → 借呗 → 设置 → 关闭/注销 → 身份验证 → 等待审核。"
            "各页面说法不一，以实际页面为准。",
            "Alipay app: Me → Jiebei → Settings → Close → identity check → review. Pages differ; what"
            " the app shows counts.",
            WEAK,
        ),
        "softer_alternative": text(
            "如只想少借，可以申请降低额度。",
            "To borrow less, ask for a lower limit.",
            GENERAL,
        ),
        "effects": [
            wording.effect(
                "DRAWN_LOANS",
                "已借出的款项按原还款计划偿还，条件不变；还清之前不能完成关闭。",
                "Loans already drawn are repaid on their plan, terms unchanged; closing completes "
                "when they are repaid.",
                WEAK,
            ),
        ],
        "facts": [
            fact(
                "借呗由蚂蚁消费金融提供；银行出资的部分显示为“信用贷”，是另一家机构的额度。",
                "Jiebei is Ant Consumer Finance's own line; bank-funded credit is shown as "
                "Xinyongdai, another lender's line.",
                C,
                of(src.CJYUN, src.HK01),
            ),
            fact(
                "前放款机构为重庆市蚂蚁商诚小额贷款（名称未证实）。",
                "The former lender was Ant Shangcheng micro-loan of Chongqing (name unconfirmed).",
                WEAK,
                src.XIAOTU,
            ),
            fact(
                "任何未还借款、逾期或异常状态、未实名认证会阻止关闭。",
                "Any loan outstanding, an overdue or abnormal status, or a missing real-name check "
                "stands in the way of closing.",
                WEAK,
                of(src.LOU19, src.YIQIER),
            ),
        ],
    },
    "WANGSHANGDAI": {
        "brand": "网商贷",
        "brand_en": "Wangshangdai",
        "lender": "MYBANK",
        "platform": "支付宝 / 网商银行 App",
        "kind": CreditProduct.Kind.BUSINESS_LOAN,
        "closing_path": text(
            "我的客服 → 在线咨询“关闭网商贷” → 确认；"
            "或 网商贷 → 设置 → 关闭网商贷 → 短信验证码。以实际页面为准。",
            "My customer service → ask to close Wangshangdai → confirm; or Wangshangdai → Settings → "
            "Close → SMS code. What the app shows counts.",
            WEAK,
        ),
        "softer_alternative": {},  # none is known
        "effects": [
            wording.effect(
                "BUSINESS_LOAN",
                "网商贷是银行的经营性贷款；关闭后如再需经营贷款，需要重新申请。",
                "Wangshangdai is a bank's business loan; a business loan needed later is a new application.",
                WEAK,
            ),
        ],
        "facts": [
            fact(
                "网商贷是银行发放的经营性贷款，不是消费信贷：额度上限、费用披露与投诉渠道不同。",
                "Wangshangdai is a business loan of a bank, not consumer credit: caps, cost "
                "disclosure and complaint routes differ.",
                WEAK,
                src.WZASK,
            ),
            fact(
                "任何未还借款会阻止关闭。",
                "Any loan outstanding stands in the way of closing.",
                WEAK,
                of(src.SQZRW, src.SUNLONGER),
            ),
        ],
    },
    "BAITIAO": {
        "brand": "白条",
        "brand_en": "Baitiao",
        "lender": "JD_SHENGJI",
        "platform": "京东 App / 京东金融 App",
        "kind": CreditProduct.Kind.CONSUMER_PAY,
        "closing_path": text(
            "京东 App：我的 → 白条 → 设置 → 账户管理 → 关闭白条 → 支付密码；"
            "京东金融 App：白条 → 我的 → 更多设置 → 其他 → 注销白条；也可以联系客服。以实际页面为准。",
            "JD app: Me → Baitiao → Settings → Account management → Close Baitiao → payment password;"
            " JD Finance app: Baitiao → Me → More settings → Other → Close Baitiao; or through "
            "customer service. What the app shows counts.",
            WEAK,
        ),
        "softer_alternative": text(
            "可以先锁定白条，随时可以解锁，无需还清欠款。",
            "Baitiao can be locked instead and unlocked at any time; debt need not be settled first.",
            WEAK,
        ),
        "effects": [],
        "facts": [
            fact(
                "放款机构现名未证实，曾以重庆两江新区盛际小额贷款报送征信；合作银行也提供资金。",
                "The lender's present name is unconfirmed; it reported to the bureau as Liangjiang "
                "Shengji micro-loan, and co-operating banks fund lines too.",
                GENERAL,
                of(src.H5UC, src.YSZNH),
            ),
            fact(
                "任何欠款（含未入账交易、分期、逾期）、未取消的自动还款协议、未完成的白条订单会阻止关闭。",
                "Any debt (unposted transactions, instalments, arrears), an automatic repayment still"
                " signed, or an order paid with Baitiao that is not finished stands in the way of "
                "closing.",
                WEAK,
                src.HNCGGZ,
            ),
        ],
    },
}
