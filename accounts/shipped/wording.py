"""Words that all products share: what every closing gives up, and the facts that hold for each.

Plain and neutral. Nothing is promised that no source confirms, and nothing is said to frighten anybody
into keeping a product.
"""

from __future__ import annotations

from accounts.models import Certainty
from accounts.shipped import sources as src


def effect(code: str, zh: str, en: str, certainty: Certainty) -> dict[str, str]:
    return {"code": code, "zh-hans": zh, "en": en, "certainty": certainty.value}


# Source: FACTS §1 (after closing), §2 L5, L7, L9 and §2.2 (conflicts 1 and 2).
EVERY_CLOSING = [
    effect(
        "LINE_ENDS",
        "关闭后不能再使用该产品的额度。",
        "The credit line can no longer be used.",
        Certainty.OURS,
    ),
    effect(
        "COUPONS_LOST",
        "该产品的优惠券、免息券、红包等权益会失效。",
        "Coupons, interest-free offers and red packets of this product are lost.",
        Certainty.WEAK,
    ),
    effect(
        "LINKED_AGREEMENTS",
        "用该产品付款的免密支付、自动扣款协议由我们逐项解除；处理结果会告诉您。余额类理财关联只作提示，不会解除。",
        "Password-free and automatic-payment agreements that pay with this product are unbound by us one "
        "by one, and you are told the result. Wealth links are only pointed out, not ended.",
        Certainty.OURS,
    ),
    effect(
        "REOPENING_IS_ASSESSED",
        "以后如需再次开通，须重新评估，可能不通过，额度也可能不同。何时可以申请，目前没有可靠的说法。",
        "Opening it again needs a new assessment, which may fail or give another limit. No reliable "
        "source says when one may apply again.",
        Certainty.WEAK,
    ),
    effect(
        "CREDIT_HISTORY_STAYS",
        "账户及其历史记录保留在征信报告中；关闭本身不是不良信息。",
        "The account and its history stay on the credit report; closing itself is not adverse information.",
        Certainty.GENERAL,
    ),
    effect(
        "DATA_RESTRICTED",
        "自关闭之日起停止营销使用；与该机构的业务全部结束后，您的数据只作存储，并按法律规定的期限保存。",
        "From the closing day your data is no longer used for marketing; once you hold nothing more "
        "with this lender it is only stored, for as long as the law requires.",
        Certainty.CONFIRMED,
    ),
    effect(
        "LATER_REFUNDS",
        "关闭后到账的退款不会丢失，我们会单独登记并退还给您。",
        "A refund that arrives after closing is not lost: it is recorded apart and returned to you.",
        Certainty.OURS,
    ),
]

FACTS_OF_ALL = [
    {
        "zh-hans": "再次开通的等待期：各来源互相矛盾，没有官方说法，不作承诺。",
        "en": "Wait before opening again: sources conflict and none is official; unknown, promise nothing.",
        "certainty": Certainty.WEAK.value,
        "source": src.of(src.LANSAI, src.CSAI),
    },
    {
        "zh-hans": "处理时间：没有可靠的公开数字，只用法定最长时限。",
        "en": "Processing time: no reliable public figure; only the statutory outer limit is used.",
        "certainty": Certainty.GENERAL.value,
        "source": src.NONE_FOUND,
    },
    {
        "zh-hans": "客户身份资料和交易记录至少保存 10 年；“关闭即永久删除”的说法不成立。",
        "en": "Identity and transaction records are kept for at least 10 years; pages that say closing "
        "deletes everything are wrong.",
        "certainty": Certainty.CONFIRMED.value,
        "source": "反洗钱法 （2024） art. 34",
    },
]
