"""Settings that hold everywhere. Every variable named here is described in .env.example.

Legal and business numbers are rows (Regulation, product policy), never settings; what stands here
are engineering limits, each with its unit and default.
"""

from datetime import timedelta

from django.urls import reverse_lazy

from config.schedule import BEAT_SCHEDULE
from config.schedule import SWEEP_SECONDS as SWEEP_SECONDS  # a setting that closures.tasks reads
from config.settings.console import *  # noqa: F403 - the console's look and menu
from config.settings.environment import BASE_DIR, VAR_DIR, env
from config.settings.partners import *  # noqa: F403 - partner endpoints and keys

VAR_DIR.mkdir(parents=True, exist_ok=True)

DEBUG = False
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

INSTALLED_APPS = [
    "unfold",  # before django.contrib.admin and simple_history: its templates win
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.simple_history",
    "config.apps.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "axes",
    "csp",
    "simple_history",
    "accounts",
    "closures",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "axes.middleware.AxesMiddleware",
    "closures.api.edge.ApiEdge",  # innermost: what the API answers leaves here as the API says it
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# --- Database -------------------------------------------------------------------------------------

SQLITE_PRAGMAS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"


def database(url: dict) -> dict:
    """The connection of DATABASE_URL, with what SQLite needs to be safe under several processes."""
    if url["ENGINE"].endswith("sqlite3"):
        url["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": SQLITE_PRAGMAS}
    else:
        url["CONN_MAX_AGE"] = 60
        url["CONN_HEALTH_CHECKS"] = True
        url.setdefault("OPTIONS", {})["connect_timeout"] = 5
    return url


DATABASES = {"default": database(env.db_url("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'db.sqlite3'}"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- People ---------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = reverse_lazy("admin:login")
STAFF_OTP_REQUIRED = True
OTP_TOTP_ISSUER = "Closures"

SESSION_COOKIE_AGE = 8 * 3600  # seconds; absolute, ASVS 7.3.2
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "closures.api.status_pages.csrf_failure"
STEP_UP_MAX_AGE = timedelta(minutes=5)  # a decision needs a sign-in younger than this
STEP_UP_REQUIRED = True

AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ACCESS_FAILURE_LOG = True
AXES_SENSITIVE_PARAMETERS = ["password", "otp_token"]
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)
AXES_CLIENT_IP_CALLABLE = "accounts.admin.signing_in.client_address"

# --- Language and time ----------------------------------------------------------------------------

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "简体中文"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "config" / "locale", BASE_DIR / "config" / "locale" / "unfold"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"

# --- Web ------------------------------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "config" / "static"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
# Unfold's Alpine needs eval and inline styles, nothing more; injected script tags stay blocked.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'", "'unsafe-eval'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
        "base-uri": ["'self'"],
        "object-src": ["'none'"],
    }
}

# --- Seals (accounts.pii) -------------------------------------------------------------------------

# "id:base64key,id:base64key": the first seals, all open. The index key never rotates silently.
FIELD_KEYS = env.str("FIELD_KEYS", default="")
INDEX_KEY = env.str("INDEX_KEY", default="")
SEARCH_MISSES_PER_HOUR = 30  # searches by ID number or phone that find nobody, per member of staff
REVEAL_LIMIT_PER_HOUR = 30  # identities one member of staff may see unmasked within an hour

# --- Mail -----------------------------------------------------------------------------------------

vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="closures@localhost")

# --- Celery: the messenger (the database row is the queue, DESIGN §2) ------------------------------

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="filesystem://localhost/")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 500
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # who reaches the broker commands no worker; liveness is a row
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TIMEZONE = TIME_ZONE
CELERY_TASK_DEFAULT_QUEUE = env.str("CELERY_QUEUE", default="closures")  # two places may share a broker
CELERY_TASK_CREATE_MISSING_QUEUES = True

# Seconds. Each must be smaller than the next: a call gives up before its task is killed, a task
# before its lease lapses, a lease before the broker delivers the message again. Checked at start.
PARTNER_CONNECT_TIMEOUT = env.float("PARTNER_CONNECT_SECONDS", default=3)
PARTNER_READ_TIMEOUT = env.float("PARTNER_READ_SECONDS", default=10)
TASK_SOFT_TIME_LIMIT = env.float("TASK_SOFT_SECONDS", default=30)
TASK_TIME_LIMIT = env.float("TASK_HARD_SECONDS", default=45)
LEASE_SECONDS = env.float("LEASE_SECONDS", default=90)
# A task that only reads may take longer, but not so long that the broker delivers it again.
READING_TASK_SECONDS = 240.0
BROKER_VISIBILITY_TIMEOUT = env.int("BROKER_VISIBILITY_SECONDS", default=300)
CELERY_TASK_SOFT_TIME_LIMIT = TASK_SOFT_TIME_LIMIT
CELERY_TASK_TIME_LIMIT = TASK_TIME_LIMIT

CELERY_BEAT_SCHEDULE = BEAT_SCHEDULE


# A request must not wait for a broker that is down: one more try, at once. The sweep finds the work.
GIVE_UP_SOON = {"max_retries": 1, "interval_start": 0.1, "interval_step": 0, "interval_max": 0.1}


def broker_transport_options(url: str) -> dict:
    """What each broker needs to lose nothing that a sweep would not find again."""
    if url.startswith("filesystem"):
        folder = VAR_DIR / "broker"
        for name in ("queue", "processed", "control"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        return {
            "data_folder_in": str(folder / "queue"),
            "data_folder_out": str(folder / "queue"),
            "control_folder": str(folder / "control"),
            "processed_folder": str(folder / "processed"),
            "store_processed": False,
            "polling_interval": 0.1,
        }
    if url.startswith("redis"):
        return {
            "visibility_timeout": BROKER_VISIBILITY_TIMEOUT,
            "global_keyprefix": f"{CELERY_TASK_DEFAULT_QUEUE}:",
            "unacked_restore_throttle": 1,
            "socket_connect_timeout": 1,
            **GIVE_UP_SOON,
        }
    return {"confirm_publish": True, **GIVE_UP_SOON}


CELERY_BROKER_TRANSPORT_OPTIONS = broker_transport_options(CELERY_BROKER_URL)

# --- Engineering limits of the steps ----------------------------------------------------------------

MAX_LEDGER_AGE = timedelta(hours=24)  # an older copy is a STALE_LEDGER blocker
CONDITION_SECONDS = 20.0  # a condition over accounts that runs longer is stopped; below the soft time limit
RISK_SCAN_EVERY = timedelta(seconds=env.float("RISK_SCAN_SECONDS", default=3_600))  # between scans of a rule
RISK_DRIFT_TIMES = 3  # a rule that matches more than this many times its usual number stops itself
RISK_DRIFT_FLOOR = 30  # below so many matches no number is alarming
BATCH_SIZE = 2000  # rows a sweep moves in one statement (PERFORMANCE: 2,000-5,000)
# How long one run of a job takes new rows: this plus one row's calls stays below the soft time limit.
DRAIN_BUDGET = timedelta(seconds=TASK_SOFT_TIME_LIMIT / 2)
# A wake-up older than this is taken for lost, and the next enqueue or tick sends another.
WAKE_UP_LOST_AFTER = timedelta(seconds=env.float("WAKE_UP_LOST_SECONDS", default=30))
UNBIND_ATTEMPT_LIMIT = env.int("UNBIND_ATTEMPT_LIMIT", default=12)  # then a person looks
RETRY_BASE = timedelta(seconds=env.float("RETRY_BASE_SECONDS", default=30))
RETRY_CAP = timedelta(seconds=env.float("RETRY_CAP_SECONDS", default=3600))
# How long an effect may come late after a call whose fate is unknown, before the same key is sent again.
LATE_EFFECT_WINDOW = timedelta(seconds=env.float("LATE_EFFECT_SECONDS", default=60))
# A ledger copy younger than this need not be read again before a partner is called.
LEDGER_FRESH = timedelta(seconds=env.float("LEDGER_FRESH_SECONDS", default=10))
# From "accepted" to the first status query.
FIRST_LOOK = timedelta(seconds=env.float("FIRST_LOOK_SECONDS", default=2))
REASSESS_EVERY = timedelta(seconds=env.float("REASSESS_SECONDS", default=86_400))  # a blocked ticket
SETTLE_POLL = timedelta(seconds=env.float("SETTLE_POLL_SECONDS", default=3_600))  # a settling one
DELAY_NOTICE_AFTER = timedelta(hours=env.float("DELAY_NOTICE_HOURS", default=72))  # unbinding takes this long
RECEIPT_WAIT = timedelta(hours=env.float("RECEIPT_WAIT_HOURS", default=72))  # then the rung EXPIRED
# --- The API for our own apps -----------------------------------------------------------------------

API_BODY_LIMIT = 64 * 1024  # bytes, looked at before anything is read
API_CALLS_KEPT = timedelta(days=7)  # nonces and kept answers; far beyond the five minutes a signature lives
API_LOCK = timedelta(seconds=60)  # a first call without an answer holds its idempotency key for so long
API_OLD_SECRET_LIVES = timedelta(days=7)  # two secrets live while an app takes up the new one
ASSERTION_AGE = timedelta(minutes=15)  # an app's identity check older than this proves nothing
ASSERTION_SKEW = timedelta(minutes=1)  # its clock may be ahead of ours by this much
WEBHOOK_HOSTS: list[str] = env.list("WEBHOOK_HOSTS", default=[])  # where events may be sent: the allow-list
WEBHOOK_ATTEMPT_LIMIT = 15  # about nine hours at the usual pace; then a person sends it again

FAILPOINT = env.str("FAILPOINT", default="")  # where a crash test kills the process (closures.failpoints)
FAILPOINT_FILE = env.str("FAILPOINT_FILE", default="")
POLICY_MINIMUM = timedelta(days=1)  # shortest closing-policy period production accepts

# --- Paper ------------------------------------------------------------------------------------------

# A font that prints every Chinese character (Debian: fonts-noto-cjk), and which face of a collection: 2 is
# the simplified-Chinese one. Without it pages are HTML instead of PDF.
CJK_FONT = env.str("CJK_FONT", default="/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")
CJK_FONT_NUMBER = env.int("CJK_FONT_NUMBER", default=2)
# --- The customer's side: one-time codes and the status page ---------------------------------------

IDENTITY_CODE_GOOD_FOR = timedelta(minutes=10)
IDENTITY_CODE_TRIES = 5  # then the code is dead
IDENTITY_CODE_PAUSE = timedelta(minutes=1)  # between two codes of one purpose
IDENTITY_CODES_PER_HOUR = 5  # to one customer or phone number, all purposes together
IDENTITY_CODES_PER_DAY = 10
# Where customers reach us: the address that a notice's link begins with, without a slash at its end.
PUBLIC_URL: str = env.str(
    "PUBLIC_URL",
    default=f"http://{env.str('WEB_HOST', default='127.0.0.1')}:{env.str('WEB_PORT', default='8000')}",
)
STATUS_LINK_KEY = env.str("STATUS_LINK_KEY", default="")  # signs links; older ones stay good in fallbacks
STATUS_LINK_KEY_FALLBACKS = env.list("STATUS_LINK_KEY_FALLBACKS", default=[])
STATUS_LINK_GOOD_FOR = timedelta(days=180)  # from the day it was written; the next notice has a newer one
STATUS_DETAILS_OPEN_FOR = timedelta(minutes=15)  # after a verified code
STATUS_GUESSES_PER_HOUR = 60  # links that do not exist, from one address
STATUS_COOKIE_NAME = "status"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
        "fontTools": {"level": "WARNING"},
        "fpdf": {"level": "ERROR"},  # its warnings may quote the text that is being printed
        "celery": {"level": env.str("CELERY_LOG_LEVEL", default="WARNING")},
    },
}
