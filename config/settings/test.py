"""The test suite: local settings, fast hashes, no throttling, broker in memory."""

from config.settings.local import *  # noqa: F403
from config.settings.local import env

DEBUG = False
DATABASES["default"].setdefault("TEST", {})  # noqa: F405
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CELERY_BROKER_URL = env.str("TEST_BROKER_URL", default="memory://")
CELERY_BROKER_TRANSPORT_OPTIONS = broker_transport_options(CELERY_BROKER_URL)  # noqa: F405
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
EFFECTS_LEDGER_URL = ""  # a test names the simulator it started; another one may be running here
WHITENOISE_AUTOREFRESH = True  # no collected static files are needed
