import sys

import pytest
from PySide6.QtCore import QObject, Signal

from app.system.pyside_refcounts import LAST_MORTAL, protect_constants


class Sender(QObject):
    sent = Signal(object)


@pytest.mark.skipif(sys.version_info[:2] > LAST_MORTAL, reason="True is immortal from Python 3.12 on")
def test_a_long_run_of_signals_does_not_use_up_true() -> None:
    protect_constants()
    sender = Sender()
    for number in range(20_000):
        sender.sent.emit(number)
    assert sys.getrefcount(True) > 1 << 30


def test_protecting_twice_changes_nothing() -> None:
    protect_constants()
    before = sys.getrefcount(True)
    protect_constants()
    assert abs(sys.getrefcount(True) - before) < 1000
