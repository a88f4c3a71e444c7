"""An import is merged, and nothing of either side is lost."""

from typing import Any

import pytest

from switchyard.default_settings import default_document
from switchyard.importing import Imported, ImportReport, from_accounts, merge, recognise
from switchyard.settings_validation import parse


def entry(name: str, key: str = "k") -> dict[str, Any]:
    return {"name": name, "base_url": "https://a.example", "key": key, "protocol": "chat"}


def document(*entries: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"upstreams": list(entries), **fields}


def test_new_upstreams_are_added_behind_those_that_are_there() -> None:
    merged, report = merge(document(entry("a")), Imported(document(entry("b")), (), ("file[0]",)))
    assert merged == document(entry("a"), entry("b"))
    assert report == ImportReport(added=("b",), origins=(("file[0]", "b"),))


def test_a_taken_name_gets_a_suffix() -> None:
    merged, report = merge(document(entry("a")), Imported(document(entry("a", key="other"))))
    assert merged == document(entry("a"), entry("a (2)", key="other"))
    assert (report.added, report.renamed) == (("a (2)",), (("a", "a (2)"),))


def test_importing_twice_adds_nothing_the_second_time() -> None:
    imported = Imported(document(entry("a", key="1"), entry("b", key="2"), entry("c", key="1")))
    once, _ = merge(document(entry("a", key="0")), imported)
    twice, report = merge(once, imported)
    assert twice == once
    assert (report.added, report.identical) == ((), ("a (2)", "b", "c"))


def test_the_imported_rules_go_before_those_we_ship_and_after_the_users() -> None:
    mine = {"from": "x", "to": "mine"}
    shipped = default_document()["model_rules"]
    imported = Imported(
        document(model_rules=[{"from": "X", "to": "theirs"}, {"from": "gpt-4", "to": "t"}, shipped[1]])
    )
    merged, report = merge(document(model_rules=[mine, *shipped]), imported)
    assert merged["model_rules"] == [mine, {"from": "gpt-4", "to": "t"}, *shipped]
    assert report.settings == ("model_rules: gpt-4 -> t",)
    assert report.notes == ("model_rules: X stays mapped to mine, imported: theirs",)


def test_existing_settings_stay_and_a_note_reports_it() -> None:
    here = document(failover={"error_threshold": 5}, client_keys={"abc": "laptop"})
    there = document(
        failover={"error_threshold": 3, "cooldown_seconds": 60}, timeouts={"idle": 9}, mine={"x": 1}
    )
    there["client_keys"] = {"abc": "desk"}
    merged, report = merge(here, Imported(there))
    assert merged == document(
        failover={"error_threshold": 5, "cooldown_seconds": 60},
        client_keys={"abc": "laptop"},
        timeouts={"idle": 9},
        mine={"x": 1},
    )
    assert report.settings == (
        "failover.cooldown_seconds: 60",
        'timeouts: {"idle":9}',
        "mine: (not shown)",
    )
    assert report.notes == (
        "mine: unknown field, kept without effect",
        "failover.error_threshold: left unchanged (5), the imported file has 3",
        "client_keys: some are left unchanged",
    )


@pytest.mark.parametrize(
    ("foreign", "notes"),
    [
        (
            {
                "api_configs": [
                    {"name": "b", "base_url": "https://b.example", "weird": 1, "hours": "08:00-09:00"}
                ],
                "more": {"x": 1},
            },
            (
                "more: unknown field, kept without effect",
                "api_configs[0].weird: unknown field, kept without effect",
            ),
        ),
        (
            [{"name": "b", "apiUrl": f"https://b{number}.example", "weird": 1} for number in range(500)],
            (
                *(
                    f'accounts[{number}]: renamed from "b" to "b ({number + 1})", names must be unique'
                    for number in range(1, 500)
                ),
                "accounts[0].weird: unknown field, kept without effect (and 499 more like it)",
            ),
        ),
        (
            {"Providers": [{"name": "b", "api_base_url": "https://b.example", "weird": 1}]},
            ("Providers[0].weird: unknown field, kept without effect",),
        ),
        (
            document(entry("b") | {"weird": 1}, failover={"weird": 2}),
            (
                "upstreams[0].weird: unknown field, kept without effect",
                "failover.weird: unknown field, kept without effect",
            ),
        ),
    ],
)
def test_unknown_fields_of_every_kind_of_file_are_kept_and_listed(
    foreign: Any, notes: tuple[str, ...]
) -> None:
    merged, report = merge(document(entry("a")), recognise(foreign))
    assert report.notes == notes
    assert merged["upstreams"][1]["weird"] == 1


def test_client_keys_are_counted_among_the_settings_without_being_shown() -> None:
    foreign = Imported(document(client_keys={"sk-secret": "laptop"}))
    reports = [merge(here, foreign)[1] for here in (document(), document(client_keys={"k": "desk"}))]
    assert [report.settings for report in reports] == [("client_keys: (not shown)",)] * 2


def test_the_given_documents_are_not_modified() -> None:
    here, there = (
        document(entry("a"), failover={"error_threshold": 5}),
        document(entry("b"), failover={"x": 1}),
    )
    merge(here, Imported(there))
    assert here == document(entry("a"), failover={"error_threshold": 5})
    assert there == document(entry("b"), failover={"x": 1})


def test_five_hundred_accounts_are_merged_in_one_go() -> None:
    accounts = [{"name": "a", "apiUrl": "https://a.example", "apiKey": f"k{number}"} for number in range(500)]
    merged, report = merge(default_document(), from_accounts(accounts))
    assert (len(report.added), len(parse(merged).settings.upstreams)) == (500, 501)


def test_unknown_fields_are_kept_and_not_reported() -> None:
    here = document(api_kye="mine-1", failover={"api_kye": "mine-2"})
    there = document(
        api_kye="theirs-1",
        client_kyes={"theirs-2": "laptop"},
        failover={"api_kye": "theirs-3", "tokne": "theirs-4", "error_threshold": 3},
        timeouts={"idle": 9, "kye": "theirs-5"},
        prices={"gpt*": {"input": 1, "output": 2, "kye": "theirs-6"}},
    )
    merged, report = merge(here, Imported(there))
    assert (merged["api_kye"], merged["failover"]["api_kye"]) == ("mine-1", "mine-2")
    assert merged["client_kyes"] == {"theirs-2": "laptop"}
    assert merged["failover"]["tokne"] == "theirs-4"
    assert report.settings == (
        "client_kyes: (not shown)",
        "failover.tokne: (not shown)",
        "failover.error_threshold: 3",
        'timeouts: {"idle":9,"kye":"(not shown)"}',
        'prices: {"gpt*":{"input":1,"output":2,"kye":"(not shown)"}}',
    )
    assert "api_kye: left unchanged" in report.notes and "failover.api_kye: left unchanged" in report.notes
    assert not any(secret in str(report) for secret in ("mine-", "theirs-"))
