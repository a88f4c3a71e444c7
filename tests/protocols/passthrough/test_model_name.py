import time

import msgspec
import pytest

from switchyard.protocols.passthrough.model_name import StreamRenamer, insert_member, rewrite_model_name


@pytest.mark.parametrize(
    ("body", "rewritten"),
    [
        (b'{"model":"a","x":1}', b'{"model":"new","x":1}'),
        (b'{ "x" : [ 1 ,2],\n\t"model" :  "a" , "y":{}}', b'{ "x" : [ 1 ,2],\n\t"model" :  "new" , "y":{}}'),
        (b'{"tools":[{"model":"a"}],"model":"a"}', b'{"tools":[{"model":"a"}],"model":"new"}'),
        (b'{"model":"a","deep":{"model":"a"}}', b'{"model":"new","deep":{"model":"a"}}'),
        (
            b'{"deep":{"model":"a"},"model":"b","z":{"model":"b"}}',
            b'{"deep":{"model":"a"},"model":"new","z":{"model":"b"}}',
        ),
        (rb'{"text":"\"model\":\"a\"","model":"a"}', rb'{"text":"\"model\":\"a\"","model":"new"}'),
        (b'{"n":{"model":"new"},"model":"a"}', b'{"n":{"model":"new"},"model":"new"}'),
        (rb'{"model":"a\"b\\","x":1.0e5}', b'{"model":"new","x":1.0e5}'),
        (b'{"model":"new"}', b'{"model":"new"}'),
        (b'{"no":"model"}', b'{"no":"model"}'),
        ('{"s":"中文\u2028","model":"a"}'.encode(), '{"s":"中文\u2028","model":"new"}'.encode()),
        (b'{"n":{"model":"a"},"model":"new"}', b'{"n":{"model":"a"},"model":"new"}'),
        (b'{"model":"a","x":{"model":"b"},"model":"c"}', b'{"model":"a","x":{"model":"b"},"model":"new"}'),
        (rb'{"mod\u0065l":"a","x": [1]}', b'{"model":"new","x":[1]}'),
        (rb'{"text":"\u00e9"}', rb'{"text":"\u00e9"}'),
        (b'[{"model":"a"}]', b'[{"model":"a"}]'),
    ],
)
def test_only_the_top_level_model_changes(body: bytes, rewritten: bytes) -> None:
    assert rewrite_model_name(body, "new") == rewritten


def test_the_history_is_not_searched_for_the_name_and_everything_around_it_is() -> None:
    history = b'[{"model":"a","text":"' + b"x" * 50_000 + b'"}]'
    around = b'{"model":"a","z":[%b],"messages":%b%b}'
    twice = around % (b"1", history, b',"model":"b"')
    once = around % (b'{"model":"c"}', history, b',"y":{"model":"d"}')
    quoted = around % (history, history, b"")
    behind = b'{"max_tokens":1,"messages":%b,"model":"a"%b}'
    for body in (
        twice,
        once,
        quoted,
        twice.replace(b"}]", b" }]"),
        behind % (history, b',"y":{"model":"d"}'),
        behind % (history, b',"y":[],"model":"b"'),
        behind % (b'[{"model":"a"},1]', b',"tools":%b' % history),
        b'{"y":{"model":"c"},"messages":%b,"model":"a"}' % history,
        b'{"y":[],"messages":%b,"model":"a"}' % history,
    ):
        assert rewrite_model_name(body, "new", history) == rewrite_model_name(body, "new")
        at = body.rindex(history) if history in body else -1
        assert rewrite_model_name(body, "new", history, at) == rewrite_model_name(body, "new")
        assert msgspec.json.decode(rewrite_model_name(body, "new", history)) == {
            **msgspec.json.decode(body),
            "model": "new",
        }


def test_a_model_among_very_many_others_is_found_in_little_time() -> None:
    others = b'{"x":[' + b",".join([b'{"model":"q"}'] * 200_000) + b"]"
    began = time.process_time()

    assert rewrite_model_name(others + b',"model":"a"}', "new") == others + b',"model":"new"}'
    assert time.process_time() - began < 2


def test_the_renamer_does_not_stumble_over_what_is_no_json() -> None:
    renamer = StreamRenamer("asked")
    record = rb': "model":"\q"' + b'\ndata: {"model":"theirs"}\n\n'
    renamer.learn(record, "theirs")

    assert renamer.rename(record).endswith(b'data: {"model":"asked"}\n\n')


def test_a_name_is_written_as_json() -> None:
    assert rewrite_model_name(b'{"model":"a"}', 'q"é') == '{"model":"q\\"é"}'.encode()


def test_a_member_is_inserted_as_the_first_of_the_object() -> None:
    assert insert_member(b' { "a":1}', b'"b":2') == b' {"b":2, "a":1}'


def test_the_renamer_learns_the_spelling_and_leaves_escaped_text_alone() -> None:
    renamer = StreamRenamer("asked")
    first = b'data: {"id":1, "model": "theirs", "choices":[]}\n\n'
    assert renamer.rename(first) == first
    renamer.learn(first, "theirs")
    assert renamer.rename(first) == first.replace(b'"theirs"', b'"asked"')
    text = rb'data: {"content":"\"model\": \"theirs\""}' + b"\n\n"
    assert renamer.rename(text) == text


def test_the_renamer_does_nothing_when_the_names_agree() -> None:
    renamer = StreamRenamer("same")
    record = b'data: {"model":"same"}\n\n'
    renamer.learn(record, "same")
    assert renamer.rename(record) is record
