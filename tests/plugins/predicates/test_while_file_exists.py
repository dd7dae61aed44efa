"""while_file_exists: looks at the file each time it is asked."""

from __future__ import annotations

import pytest

from expcore.errors import InvalidArgument
from expcore_plugins.predicates.while_file_exists import WhileFileExists


@pytest.mark.parametrize("result", [None, {}, {"loss": 1.0}])
@pytest.mark.parametrize("convert", [str, lambda path: path])
def test_goes_on_while_the_file_is_there(tmp_path, result, convert):
    file = tmp_path / "go-on"
    predicate = WhileFileExists(convert(file))
    assert predicate(result) is False
    file.touch()
    assert predicate(result) is True
    file.unlink()
    assert predicate(result) is False


def test_a_directory_counts_too(tmp_path):
    assert WhileFileExists(tmp_path)(None) is True


@pytest.mark.parametrize("path", ["", None, 1, b"x"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(InvalidArgument, match="predicate 'while_file_exists': path is"):
        WhileFileExists(path)


def test_reads_well():
    assert repr(WhileFileExists("go-on")) == "WhileFileExists(path='go-on')"
