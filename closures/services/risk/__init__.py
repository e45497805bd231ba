"""Risk control: rules that look at all accounts, the alerts they raise, what people make of them (SPEC §6).

`rules` writes, tests and activates versions, `switches` stops them, `backtest` measures one, `scan` looks at
every account, `alerts` is what people do with what was found, `appeals` is the customer's objection to it,
`outcomes` takes in what became of accounts, `shipped` puts the first rules there. A rule may freeze, with an
end, or propose; only a named person asks for a closing, through `intake` like everybody.
"""

from closures.services.risk import alerts, appeals, backtest, outcomes, rules, scan, shipped, switches

__all__ = ["alerts", "appeals", "backtest", "outcomes", "rules", "scan", "shipped", "switches"]
