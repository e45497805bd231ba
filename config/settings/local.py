"""A developer's machine and the demo: embedded defaults and local-only keys, nothing to configure."""

import base64
import hashlib

from config.settings.base import *  # noqa: F403
from config.settings.base import VAR_DIR, env

DEBUG = env.bool("DEBUG", default=True)
LOCAL_ONLY = "local-only, never for production"


def local_key(purpose: str) -> str:
    """A fixed 256-bit key: the demo's data must stay readable from one start to the next."""
    return base64.b64encode(hashlib.sha256(f"{LOCAL_ONLY}: {purpose}".encode()).digest()).decode()


SECRET_KEY = env.str("SECRET_KEY", default=local_key("secret"))
FIELD_KEYS = env.str("FIELD_KEYS", default=f"local:{local_key('field')}")
INDEX_KEY = env.str("INDEX_KEY", default=local_key("index"))
STATUS_LINK_KEY = env.str("STATUS_LINK_KEY", default=local_key("status"))
STAFF_OTP_REQUIRED = env.bool("STAFF_OTP_REQUIRED", default=False)
STEP_UP_REQUIRED = env.bool("STEP_UP_REQUIRED", default=False)
POLICY_MINIMUM = timedelta(0)  # noqa: F405 - the demo's closing policies say seconds
if "EMAIL_URL" not in env.ENVIRON:  # mails of the demo are files to look at, not lines in a log
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = VAR_DIR / "mail"
PARTNER_PRIVATE_ADDRESSES_ALLOWED = True  # the simulator listens on loopback
WEBHOOK_HOSTS = env.list("WEBHOOK_HOSTS", default=["127.0.0.1", "localhost"])
EFFECTS_LEDGER_URL = env.str("EFFECTS_LEDGER_URL", default=SIMULATOR_URL)  # noqa: F405
