"""Where partners, core ledger and SMS provider are reached, and with which keys.

The defaults reach the simulator on loopback. Production gives addresses and keys by environment and
changes nothing else; config.checks refuses a key that is the local one.
"""

from config.settings.environment import env

SIMULATOR_URL: str = env.str("SIMULATOR_URL", default="http://127.0.0.1:8931")
LOCAL_PARTNER_SECRET = "local-simulator-secret"  # never accepted by production
SIMULATOR_SECRET: str = env.str("SIMULATOR_SECRET", default=LOCAL_PARTNER_SECRET)

# Private and loopback addresses are where our own services live: a partner is never there. Local
# settings allow them, because the simulator is.
PARTNER_PRIVATE_ADDRESSES_ALLOWED = False


def endpoint(name: str, path: str) -> dict[str, str]:
    """One address and its key: {name}_URL, {name}_KEY_ID, {name}_SECRET."""
    return {
        "url": env.str(f"{name}_URL", default=f"{SIMULATOR_URL}{path}"),
        "key_id": env.str(f"{name}_KEY_ID", default="local"),
        "secret": env.str(f"{name}_SECRET", default=SIMULATOR_SECRET),
    }


def partner(code: str) -> dict[str, str]:
    """One partner: its gateway (generic: our HTTP protocol; manual: people do it) and its address."""
    gateway = env.str(f"PARTNER_{code}_GATEWAY", default="generic")
    return {"gateway": gateway, **endpoint(f"PARTNER_{code}", f"/partners/{code}")}


PARTNERS: dict[str, dict[str, str]] = {
    "ALIPAY": partner("ALIPAY"),
    "WECHAT": partner("WECHAT"),
    "UNIONPAY": partner("UNIONPAY"),
    # JD Pay publishes no unbinding API: with the real JD set PARTNER_JD_GATEWAY=manual. The local
    # default is generic because the simulator plays JD on our own protocol.
    "JD": partner("JD"),
}
LEDGER: dict[str, str] = endpoint("LEDGER", "/ledger")
SMS: dict[str, str] = endpoint("SMS", "/sms")
# A ledger of effects that may be asked what happened twice (invariant 8). Real partners show none.
EFFECTS_LEDGER_URL: str = env.str("EFFECTS_LEDGER_URL", default="")

# Keys of the callbacks we are sent, newest first; two may be live while one replaces the other. A partner
# that people deal with by hand calls nobody.
CALLED_BACK = {code: f"PARTNER_{code}" for code, entry in PARTNERS.items() if entry["gateway"] != "manual"}
CALLBACK_SECRETS: dict[str, list[str]] = {
    system: env.list(f"{name}_CALLBACK_SECRETS", default=[SIMULATOR_SECRET])
    for system, name in {**CALLED_BACK, "SMS": "SMS", "LEDGER": "LEDGER"}.items()
}
