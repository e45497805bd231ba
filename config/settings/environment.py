"""The one reader of environment variables; `.env` beside manage.py is read when it exists."""

from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parents[2]

env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

# What a run leaves behind: database, broker, mails, rejects of the embedded defaults.
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var")))
