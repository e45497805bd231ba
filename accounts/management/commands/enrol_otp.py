"""`manage.py enrol_otp STAFF_NO`: a second factor for one member of staff."""

from __future__ import annotations

import os
from typing import Any

import qrcode
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.models import User

NAME = "authenticator app"


class Command(BaseCommand):
    help = (
        "Give a member of staff a second factor (TOTP). Prints the secret once, as an address and as a QR "
        "code for the authenticator app; show it to nobody else. It counts after --confirm TOKEN."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("staff_no", help="the person's staff number")
        parser.add_argument(
            "--replace", action="store_true", help="put a new device in the place of the confirmed one"
        )
        parser.add_argument(
            "--confirm", metavar="TOKEN", help="prove with the app's present code that it was set up"
        )

    def handle(self, *args: Any, staff_no: str, replace: bool, confirm: str | None, **options: Any) -> None:
        user = User.objects.filter(staff_no=staff_no).first()
        if user is None:
            raise CommandError(f"Nobody has staff number {staff_no}.")
        if user.state == User.State.LEFT:
            raise CommandError(f"{staff_no} has left; nothing was enrolled.")
        if confirm is not None:
            self.confirm(user, confirm)
        else:
            self.enrol(user, replace=replace)

    @transaction.atomic
    def enrol(self, user: User, *, replace: bool) -> None:
        if not replace and TOTPDevice.objects.filter(user=user, confirmed=True).exists():
            raise CommandError(
                f"{user.staff_no} has a confirmed device. Use --replace if it is lost or compromised."
            )
        TOTPDevice.objects.filter(user=user, confirmed=False).delete()
        device = TOTPDevice.objects.create(user=user, name=NAME, confirmed=False)
        self.stdout.write(device.config_url)
        code = qrcode.QRCode(border=2)
        code.add_data(device.config_url)
        code.print_ascii(out=self.stdout, invert=self.stdout.isatty())
        self.stdout.write(
            f"Scan it, then: manage.py enrol_otp {user.staff_no} --confirm CODE"
            + (f"{os.linesep}The old device works until then." if replace else "")
        )

    def confirm(self, user: User, token: str) -> None:
        # Outside a transaction that would be rolled back: a wrong code is counted, and slows guessing down.
        device = TOTPDevice.objects.filter(user=user, confirmed=False).order_by("-pk").first()
        if device is None:
            raise CommandError(f"{user.staff_no} has no device that waits for its code. Enrol one first.")
        allowed, _why = device.verify_is_allowed()
        if not allowed:
            raise CommandError("Too many wrong codes just now. Wait a minute and try again.")
        if not device.verify_token(token):
            raise CommandError("This code is wrong or has been used. Wait for the next one and try again.")
        with transaction.atomic():
            TOTPDevice.objects.filter(user=user, confirmed=True).delete()
            TOTPDevice.objects.filter(pk=device.pk).update(confirmed=True)
        self.stdout.write(f"{user.staff_no} signs in with this device from now on.")
        if not user.is_active:
            self.stdout.write(f"{user.staff_no} is {user.state}: an administrator still has to activate it.")
