"""Policy campaigns: planned, run dry, approved by a second lead, frozen, opened in waves."""

from closures.services.campaigns.approving import approve, ask_freeze, dry_run, freeze
from closures.services.campaigns.files import load
from closures.services.campaigns.finishing import ReportChanged, as_csv, checked
from closures.services.campaigns.guarding import watch
from closures.services.campaigns.plan import (
    add_department,
    add_milestone,
    draft,
    edit,
    reach_milestone,
    remove,
)
from closures.services.campaigns.running import run
from closures.services.campaigns.steering import abort, pause, resume, start_pilot, start_waves

__all__ = [
    "ReportChanged",
    "abort",
    "add_department",
    "add_milestone",
    "approve",
    "as_csv",
    "ask_freeze",
    "checked",
    "draft",
    "dry_run",
    "edit",
    "freeze",
    "load",
    "pause",
    "reach_milestone",
    "remove",
    "resume",
    "run",
    "start_pilot",
    "start_waves",
    "watch",
]
