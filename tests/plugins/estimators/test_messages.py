"""TensorFlow's errors as a part of one line."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from expcore_plugins.estimators.engine.messages import reason

NETWORK = (
    "Additional GRPC error information from remote target /job:ps/replica:0/task:0 while calling /some:\n"
    ':UNKNOWN:Error received from peer  {grpc_status:14, grpc_message:"Socket closed"}'
)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("indices[28,0] = 99 is not in [0, 10)\n\t [[{{node a/b}}]] [Op:__inference_work_864]", "99 is not"),
        ("Graph execution error:\n\nDetected at node a\n\nindices = 99\n\t [[{{node a}}]]", "indices = 99"),
        (f"failed to connect\n{NETWORK}\nThis could happen if the remote target has left.", "failed to"),
        (
            "Graph execution error:\n\n2 root error(s) found.\n  (0) UNAVAILABLE:  Socket closed\n"
            f"{NETWORK}\n  (1) CANCELLED:  no more\n\t [[{{{{node a}}}}]]\n0 successful operations.\n"
            "1 derived errors ignored.",
            "Socket closed",
        ),
    ],
)
def test_the_line_that_tells_is_found(message, told):
    found = reason(SimpleNamespace(message=message))
    assert told in found
    assert "\n" not in found
    assert "UNKNOWN" not in found
    assert "derived" not in found


def test_a_message_of_nothing_else_gives_the_kind():
    class UnavailableError(Exception):
        message = NETWORK

    assert reason(UnavailableError()) == "UnavailableError"
