"""Claims: one evaluator makes an evaluation, and the claim of a dead one expires."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from expcore.errors import CannotWrite
from expcore.owner import Owner
from expcore.passes.claims import MIN_EXPIRY_SECS, Claims
from expcore.testing.clock import VirtualClock

SUBJECT = "events-chief-0-aa:3 eval"
EXPIRY = MIN_EXPIRY_SECS + 100


class Evaluator:
    """An evaluator on a machine of its own, with a clock of its own."""

    def __init__(self, path: Path, monkeypatch: Any, host: str, start: float = 0.0) -> None:
        self.clock = VirtualClock(start)
        self.claims = Claims(str(path), self.clock)
        self._monkeypatch, self.owner = monkeypatch, replace(Owner.current(), host=host)

    def take(self, subject: str = SUBJECT, expiry: float = EXPIRY) -> bool:
        with self._monkeypatch.context() as patch:
            patch.setattr(Owner, "current", classmethod(lambda cls: self.owner))
            return self.claims.take(subject, expiry)


def claim_file(path: Path) -> Path:
    (file,) = (path / "expcore" / "claims").glob("*.json")
    return file


def test_what_one_holds_no_other_gets_until_it_is_given_back(tmp_path, monkeypatch):
    one, other = Evaluator(tmp_path, monkeypatch, "a"), Evaluator(tmp_path, monkeypatch, "b")
    assert [one.take(), other.take(), other.take("another subject")] == [True, False, True]
    one.claims.release(SUBJECT)
    assert [other.take(), one.take()] == [True, False]
    other.claims.release(SUBJECT)
    other.claims.release("another subject")
    assert list((tmp_path / "expcore" / "claims").glob("*.json")) == []


def test_what_is_held_already_may_be_taken_again(tmp_path, monkeypatch):
    one, other = Evaluator(tmp_path, monkeypatch, "a"), Evaluator(tmp_path, monkeypatch, "b")
    assert [one.take(), one.take(), other.take()] == [True, True, False]
    one.claims.release(SUBJECT)
    assert other.take()


def test_nobody_gives_back_what_another_holds_or_what_nobody_does(tmp_path, monkeypatch):
    one, other = Evaluator(tmp_path, monkeypatch, "a"), Evaluator(tmp_path, monkeypatch, "b")
    other.claims.release(SUBJECT)
    one.take()
    other.claims.release(SUBJECT)
    assert not other.take()


def test_an_unchanged_claim_of_another_machine_expires_by_the_watchers_own_clock(tmp_path, monkeypatch):
    one, other = Evaluator(tmp_path, monkeypatch, "a"), Evaluator(tmp_path, monkeypatch, "b", start=9e9)
    one.take()
    os.utime(claim_file(tmp_path), (0, 0))  # times of files say nothing
    assert not other.take()
    other.clock.sleep(EXPIRY - 1)
    assert not other.take()
    other.clock.sleep(1)
    assert other.take()
    # The first one was only slow: it neither gets it back nor takes it away from the other by giving back.
    assert not one.take()
    one.claims.release(SUBJECT)
    third = Evaluator(tmp_path, monkeypatch, "c")
    assert not third.take()


def test_no_claim_expires_sooner_than_the_shortest_time(tmp_path, monkeypatch):
    one, other = Evaluator(tmp_path, monkeypatch, "a"), Evaluator(tmp_path, monkeypatch, "b")
    one.take()
    other.take(expiry=0)
    other.clock.sleep(MIN_EXPIRY_SECS - 1)
    assert not other.take(expiry=0)
    other.clock.sleep(1)
    assert other.take(expiry=0)


def test_a_claim_that_was_given_back_and_made_again_is_watched_from_anew(tmp_path, monkeypatch):
    one, other = Evaluator(tmp_path, monkeypatch, "a"), Evaluator(tmp_path, monkeypatch, "b")
    one.take()
    other.take()
    other.clock.sleep(EXPIRY - 1)
    one.claims.release(SUBJECT)
    one.take()
    other.clock.sleep(1)
    assert not other.take()
    other.clock.sleep(EXPIRY)
    assert other.take()


def test_another_experiment_of_this_process_never_loses_its_claim(tmp_path):
    clock = VirtualClock()
    one, other = Claims(str(tmp_path), clock), Claims(str(tmp_path), clock)
    assert [one.take(SUBJECT, EXPIRY), other.take(SUBJECT, EXPIRY)] == [True, False]
    clock.sleep(10 * EXPIRY)
    assert not other.take(SUBJECT, EXPIRY)
    one.release(SUBJECT)
    assert other.take(SUBJECT, EXPIRY)


def test_a_process_of_this_machine_that_has_ended_is_taken_over_from_at_once(tmp_path):
    script = (
        "import sys; from expcore.passes.claims import Claims; from expcore.testing import VirtualClock\n"
        f"assert Claims(sys.argv[1], VirtualClock()).take({SUBJECT!r}, 1)\n"
        "print('taken', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    claims = Claims(str(tmp_path), VirtualClock())
    try:
        assert child.stdout.readline() == b"taken\n"
        assert not claims.take(SUBJECT, EXPIRY)
    finally:
        child.kill()
        child.communicate()
    assert claims.take(SUBJECT, EXPIRY)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"3", b"\xff\xfe", b'{"token": "x", "owner": 1}'])
def test_a_claim_that_cannot_be_understood_expires_by_time_alone(tmp_path, monkeypatch, content):
    one, other = Evaluator(tmp_path, monkeypatch, "a"), Evaluator(tmp_path, monkeypatch, "b")
    one.take()
    claim_file(tmp_path).write_bytes(content)
    assert not other.take()
    other.clock.sleep(EXPIRY)
    assert other.take()


def test_a_claim_that_may_not_be_read_expires_by_time_alone(tmp_path, monkeypatch):
    one, other = Evaluator(tmp_path, monkeypatch, "a"), Evaluator(tmp_path, monkeypatch, "b")
    one.take()

    def refuse(path: Path, **how: Any) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", refuse)
        assert not other.take()
        other.clock.sleep(EXPIRY)
        assert other.take()


def dead_claim(path: Path) -> None:
    """Leaves the claim of a process of an earlier boot."""
    claims = Claims(str(path), VirtualClock())
    assert claims.take(SUBJECT, EXPIRY)
    file = claim_file(path)
    claim = json.loads(file.read_text())
    claim["owner"]["boot"] = "earlier"
    file.write_text(json.dumps(claim))


def test_of_many_that_see_a_dead_claim_at_once_exactly_one_takes_it_over(tmp_path):
    for round_ in range(20):
        path = tmp_path / str(round_)
        dead_claim(path)
        evaluators = [Claims(str(path), VirtualClock()) for _ in range(4)]
        start, taken = threading.Barrier(len(evaluators)), []

        def race(claims: Claims, start: threading.Barrier = start, taken: list[Any] = taken) -> None:
            start.wait()
            if claims.take(SUBJECT, EXPIRY):
                taken.append(claims)

        threads = [threading.Thread(target=race, args=(claims,)) for claims in evaluators]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == 1


def test_one_that_is_late_with_a_take_over_leaves_the_fresh_claim_of_the_one_that_was_not(
    tmp_path, monkeypatch
):
    dead_claim(tmp_path)
    quick, late = Claims(str(tmp_path), VirtualClock()), Claims(str(tmp_path), VirtualClock())
    alone, taken = late._alone, []

    def overtaken() -> Any:
        # Between seeing the dead claim and removing it.
        taken.append(quick.take(SUBJECT, EXPIRY))
        return alone()

    monkeypatch.setattr(late, "_alone", overtaken)
    taken.append(late.take(SUBJECT, EXPIRY))
    assert taken == [True, False]


def test_one_that_is_late_with_giving_back_leaves_the_claim_of_the_one_that_took_over(tmp_path, monkeypatch):
    slow, other = Evaluator(tmp_path, monkeypatch, "a"), Evaluator(tmp_path, monkeypatch, "b")
    slow.take()
    other.take()
    other.clock.sleep(EXPIRY)
    alone = slow.claims._alone
    monkeypatch.setattr(slow.claims, "_alone", lambda: (other.take(), alone())[1])
    slow.claims.release(SUBJECT)
    assert not Evaluator(tmp_path, monkeypatch, "c").take()


def test_a_file_system_without_locks_will_do(tmp_path, monkeypatch):
    def unsupported(file: int, how: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    dead_claim(tmp_path)
    one, other = Claims(str(tmp_path), VirtualClock()), Claims(str(tmp_path), VirtualClock())
    assert [one.take(SUBJECT, EXPIRY), other.take(SUBJECT, EXPIRY)] == [True, False]
    one.release(SUBJECT)
    assert other.take(SUBJECT, EXPIRY)


@pytest.mark.parametrize("where", ["expcore", "expcore/claims"])
def test_a_claim_that_cannot_be_made_is_an_error_with_its_path(tmp_path, where):
    (tmp_path / where).parent.mkdir(exist_ok=True)
    (tmp_path / where).write_text("a file in the way")
    with pytest.raises(CannotWrite, match=r"expcore/claims/\w+\.json: the claim cannot be written"):
        Claims(str(tmp_path), VirtualClock()).take(SUBJECT, EXPIRY)


def test_a_full_disk_leaves_no_claim_that_nobody_holds(tmp_path, monkeypatch):
    claims = Claims(str(tmp_path), VirtualClock())

    def full(*args: Any, **how: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(json, "dump", full)
        with pytest.raises(CannotWrite, match="No space left"):
            claims.take(SUBJECT, EXPIRY)
    assert Claims(str(tmp_path), VirtualClock()).take(SUBJECT, EXPIRY)


def test_a_claim_that_cannot_be_removed_is_an_error(tmp_path, monkeypatch):
    def refuse(path: Path, **how: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    dead_claim(tmp_path)
    claims = Claims(str(tmp_path), VirtualClock())
    claims.take("mine", EXPIRY)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(CannotWrite, match="Permission denied"):
        claims.take(SUBJECT, EXPIRY)
    with pytest.raises(CannotWrite, match="Permission denied"):
        claims.release("mine")
