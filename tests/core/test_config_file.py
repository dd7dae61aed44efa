"""Config files: formats, limits, and that nothing but ConfigError ever comes out."""

from __future__ import annotations

import datetime
import json
import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expcore.config.file import MAX_BYTES, MAX_DEPTH, MAX_VALUES, merge, plain, read_file
from expcore.errors import ConfigError


def written(tmp_path, text, name="c.yaml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problem(path):
    with pytest.raises(ConfigError) as raised:
        read_file(path)
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith(f"config {str(path)!r}: ")
    return message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.yaml", "a: 1\nb: {c: [x, 2.5, true, null]}\n"),
        ("c.YML", "a: 1\nb:\n  c:\n  - x\n  - 2.5\n  - true\n  - ~\n"),
        ("c.json", '{"a": 1, "b": {"c": ["x", 2.5, true, null]}}'),
    ],
)
def test_yaml_and_json_give_the_same_data(tmp_path, name, text):
    found = read_file(written(tmp_path, text, name))
    assert found == {"a": 1, "b": {"c": ["x", 2.5, True, None]}}
    assert list(found) == ["a", "b"]


def test_toml_is_read(tmp_path):
    assert read_file(written(tmp_path, "a = 1\n[b]\nc = ['x']\n", "c.toml")) == {"a": 1, "b": {"c": ["x"]}}


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 0.001), ("-1E5", -1e5), ("2.5e3", 2500.0), (".5e+2", 50.0), ("1.e2", 100.0), ("1e3x", "1e3x")],
)
def test_numbers_with_an_exponent_are_numbers_in_yaml_too(tmp_path, text, value):
    found = read_file(written(tmp_path, f"rate: {text}\n"))["rate"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text"), [("c.yaml", b"a: 1\n"), ("c.json", b'{"a": 1}'), ("c.toml", b"a = 1")]
)
def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path, name, text):
    assert read_file(written(tmp_path, b"\xef\xbb\xbf" + text, name)) == {"a": 1}


def test_merged_keys_and_aliases_are_written_out(tmp_path):
    text = "base: &b {x: 1, y: 2}\nmine: {<<: *b, y: 3}\nsame: *b\n"
    found = read_file(written(tmp_path, text))
    assert found == {"base": {"x": 1, "y": 2}, "mine": {"x": 1, "y": 3}, "same": {"x": 1, "y": 2}}
    assert found["same"] is not found["base"]


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("c.yaml", "", "is empty"),
        ("c.json", " \n ", "is empty"),
        ("c.toml", "", "is empty"),
        ("c.yaml", "# nothing\n", "holds a NoneType"),
        ("c.yaml", "- a\n", "holds a list"),
        ("c.json", "3", "holds a int"),
        ("c.ini", "a=1", "suffix '.ini' is not among"),
        ("c.yam", "a: 1", "did you mean '.yaml'"),
        ("config", "a: 1", "suffix '' is not among"),
        ("c.yaml", b"a: \xff\n", "not UTF-8"),
        ("c.yaml", "a: [1\n", "not plain YAML"),
        ("c.yaml", "a: 1\n---\nb: 2\n", "not plain YAML"),
        ("c.yaml", "a: !!python/object/apply:os.system [ls]\n", "not plain YAML"),
        ("c.yaml", "a: !!python/name:os.system\n", "not plain YAML"),
        ("c.yaml", "a: !mine 1\n", "not plain YAML"),
        ("c.yaml", "a: !!bool maybe\n", "not plain YAML"),
        ("c.yaml", "a: !!timestamp now\n", "not plain YAML"),
        ("c.yaml", "a: 2001-99-99\n", "month"),
        ("c.yaml", "a: *b\n", "not plain YAML"),
        ("c.yaml", "a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", "line 5: the key 'c' stands twice"),
        ("c.yaml", "a: {1: x}\n", "the key 1 in a is no string"),
        ("c.yaml", "yes: 1\n", "the key True in it is no string"),
        ("c.yaml", "? [a]\n: 1\n", "not plain YAML"),
        ("c.json", '{"a": {"b": 1, "b": 2}}', "the key 'b' stands twice"),
        ("c.json", '{"a": 1,}', "JSONDecodeError"),
        ("c.toml", "a = 1\na = 2\n", "TOMLDecodeError"),
        ("c.toml", "a = \n", "TOMLDecodeError"),
        ("c.json", '{"a": ' + "[" * 60 + "]" * 60 + "}", "nested deeper than 50"),
        ("c.yaml", "a: " + "[" * 60 + "]" * 60, "nested deeper than 50"),
        ("c.json", "[" * 100_000, "nested deeper than 50"),
        ("c.yaml", "[" * 5_000, "nested deeper than 50"),
        ("c.toml", "a = " + "[" * 20_000, "nested deeper than 50"),
        ("c.yaml", "a: &a [*a]\n", "nested deeper than 50"),
        ("c.json", '{"a": ' + "1" * 5000 + "}", "ValueError"),
    ],
)
def test_what_cannot_be_read_is_told_with_the_file_and_the_reason(tmp_path, name, text, rule):
    assert rule in problem(written(tmp_path, text, name))


def test_a_missing_file_a_folder_and_a_pipe_are_told(tmp_path):
    assert "cannot be read: FileNotFoundError" in problem(tmp_path / "none.yaml")
    (tmp_path / "d.yaml").mkdir()
    assert "is not a file" in problem(tmp_path / "d.yaml")
    os.mkfifo(tmp_path / "p.yaml")
    assert "is not a file" in problem(tmp_path / "p.yaml")
    assert "cannot be read" in problem("nul\0.yaml")


def test_a_file_larger_than_the_limit_is_refused_and_one_at_the_limit_is_read(tmp_path):
    text = "a: " + "x" * (MAX_BYTES - 3)
    assert len(read_file(written(tmp_path, text))["a"]) == MAX_BYTES - 3
    assert "larger than 1000000 bytes" in problem(written(tmp_path, text + "x"))


def test_nesting_up_to_the_limit_is_read(tmp_path):
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert read_file(written(tmp_path, f'{{"a": {deep}}}', "c.json"))
    assert "nested deeper" in problem(written(tmp_path, f'{{"a": [{deep}]}}', "c.json"))


def test_aliases_that_multiply_are_refused_quickly(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20)]
    assert f"more than {MAX_VALUES} values" in problem(written(tmp_path, "\n".join(lines)))


def test_merges_of_merges_do_not_multiply(tmp_path):
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 40)]
    try:
        outcome = read_file(written(tmp_path, "\n".join(lines)))["a39"]
    except ConfigError as error:
        outcome = str(error)
    # PyYAML 6.0.4 drops what is merged twice; before, a mapping of 2 ** 40 keys has to be refused in time.
    assert outcome == {"x": 1, "y": 2} or "a mapping has more than 1000 keys" in outcome


def test_merges_may_not_come_to_more_than_1000_keys(tmp_path):
    parts = [", ".join(f"k{n}: 1" for n in range(start, start + 501)) for start in (0, 501)]
    lines = [f"a: &a {{{parts[0]}}}", f"b: &b {{{parts[1]}}}", "c: {<<: [*a, *b]}"]
    assert "a mapping has more than 1000 keys" in problem(written(tmp_path, "\n".join(lines)))
    assert len(read_file(written(tmp_path, "\n".join(lines[:2])))["a"]) == 501


def test_too_many_aliases_are_refused(tmp_path):
    assert "more than 1000 aliases" in problem(written(tmp_path, "a: &a 1\nb: [" + "*a, " * 1001 + "]"))
    assert len(read_file(written(tmp_path, "a: &a 1\nb: [" + "*a, " * 1000 + "]"))["b"]) == 1000


def test_objects_in_mappings_of_code_stay_the_same_and_containers_are_copied():
    thing, inner = object(), {"x": []}
    copy = plain({"a": thing, "b": [inner], "when": datetime.date(2020, 1, 1)}, "config")
    assert copy["a"] is thing
    assert copy["b"] == [inner]
    assert copy["b"][0] is not inner
    assert copy["b"][0]["x"] is not inner["x"]


def test_a_mapping_that_contains_itself_is_refused():
    loop = {}
    loop["a"] = loop
    with pytest.raises(ConfigError, match="config: it is nested deeper than 50"):
        plain(loop, "config")


def test_the_later_wins_in_depth_lists_are_replaced_and_the_order_is_kept():
    first = {"a": {"x": 1, "y": {"z": 1}}, "b": [1, 2], "c": {"d": 1}, "e": 1}
    second = {"f": 0, "a": {"y": {"w": 2}, "x": 3}, "b": [3], "c": 5, "e": {"g": 1}}
    merged = merge(first, second)
    assert merged == {
        "a": {"x": 3, "y": {"z": 1, "w": 2}},
        "b": [3],
        "c": 5,
        "e": {"g": 1},
        "f": 0,
    }
    assert list(merged) == ["a", "b", "c", "e", "f"]
    assert list(merged["a"]) == ["x", "y"]
    assert first["a"]["x"] == 1


_DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=15,
)
_YAML = st.text(alphabet=st.sampled_from(list("ab01e.-:?!&*<>|[]{}#'\"%@`,~=\\xUu \n\t")), max_size=60)
_YAML_WORDS = st.lists(
    st.sampled_from(
        [
            "a: ",
            "- ",
            "&x ",
            "*x",
            "<<: ",
            "!!int ",
            "!!float ",
            "!!bool ",
            "!!set ",
            "!!omap ",
            "!!pairs ",
            "!!binary ",
            "!!timestamp ",
            "!!null ",
            "? ",
            "\n",
            "  ",
            "{",
            "}",
            "[",
            "]",
            ",",
            "0x",
            "1:2",
            '"\\UFFFFFFFF"',
        ]
    ),
    max_size=14,
).map("".join)


def raises_only_config_errors(data, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"c{suffix}")
        with open(path, "wb") as file:
            file.write(data)
        message = None
        try:
            found = read_file(path)
        except ConfigError as error:
            message = str(error)
        if message is None:
            assert isinstance(found, dict)
        else:
            assert len(message.splitlines()) == 1


@given(_YAML | _YAML_WORDS)
def test_any_yaml_gives_a_dict_or_a_config_error_of_one_line(text):
    raises_only_config_errors(text.encode(), ".yaml")


@given(
    st.binary(max_size=40) | _DATA.map(lambda d: json.dumps(d).encode()),
    st.sampled_from([".json", ".toml", ".yml"]),
)
def test_any_bytes_give_a_dict_or_a_config_error_of_one_line(data, suffix):
    raises_only_config_errors(data, suffix)


@given(st.dictionaries(st.text(max_size=6), _DATA, max_size=4))
def test_what_json_can_say_is_read_as_it_is(data):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "c.json")
        with open(path, "w") as file:
            json.dump({"top": data}, file)
        assert read_file(path) == {"top": data}


_PLAIN = st.recursive(
    st.integers() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
).map(lambda value: value if isinstance(value, dict) else {"a": value})


def leaves(config, path=()):
    if not isinstance(config, dict) or not config:
        return {path: config}
    return {k: v for key, inner in config.items() for k, v in leaves(inner, (*path, key)).items()}


@given(_PLAIN, _PLAIN)
def test_every_value_of_the_later_config_survives_merging(a, b):
    merged = leaves(merge(a, b))
    assert all(merged[path] == value for path, value in leaves(b).items() if value != {})
    assert merge(a, {}) == a == merge({}, a)
    assert merge(a, a) == a
