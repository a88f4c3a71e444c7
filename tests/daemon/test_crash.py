"""`kill -9` under load: no response that a client received completely is missing from the statistics."""

import threading
from pathlib import Path

from tests.bed.asking import ask
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.upstream import ScriptedUpstream, answer
from tests.bed.wire import PROTOCOLS, Protocol, Reply, Usage

CLIENTS = 6
ANSWERS_BEFORE_KILL = 150
USAGE = Usage(fresh=101, cache_read=13, output=7)


class Load:
    """Clients that send requests without a pause, each for another model, until the daemon is gone."""

    def __init__(self, url: str, round_number: int) -> None:
        self._url = url
        self._round = round_number
        self.answered: list[str] = []
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def has_answers(self) -> bool:
        return len(self.answered) >= ANSWERS_BEFORE_KILL

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def _ask(self, number: int) -> None:
        protocol: Protocol = PROTOCOLS[number % len(PROTOCOLS)]
        count = 0
        while True:
            count += 1
            model = f"model-{self._round}-{number}-{count}"
            try:
                response = ask(self._url, protocol, model, stream=count % 2 == 0)
            except OSError:
                return
            if response.status == 200 and is_complete(protocol, response.body):
                self.answered.append(model)


def is_complete(protocol: Protocol, body: bytes) -> bool:
    ends = {"messages": b'"message_stop"}', "chat": b"data: [DONE]", "responses": b"response.completed"}
    text = body.strip()
    return (
        text.endswith(b"}")
        if text.startswith(b"{")
        else ends[protocol] in text.replace(b" ", b"").replace(b"data:[DONE]", b"data: [DONE]")
    )


def test_kill_9_under_load_three_times_in_a_row_loses_no_finished_exchange(tmp_path: Path) -> None:
    answered: list[str] = []
    with ScriptedUpstream(answer(Reply("A fairly short answer", usage=USAGE))) as server:
        entries = [upstream(protocol, server.url, protocol, clients=[protocol]) for protocol in PROTOCOLS]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            for round_number in range(3):
                load = Load(daemon.url, round_number)
                load.start()
                wait_until(load.has_answers, "the load")
                daemon.kill()
                load.join()
                answered += load.answered
                daemon.start()

            lines = [line for line in daemon.journal() if line["outcome"] == "ok"]
            summary = daemon.token_stats()["summary"]

            missing = set(answered) - {line["model"] for line in lines}
            assert not missing
            assert len({line["id"] for line in lines}) == len(lines)
            assert summary["total_requests"] == len(daemon.journal()) >= len(answered)
            assert summary["fresh_input_tokens"] == USAGE.fresh * len(lines)
            assert summary["total_cache_read_tokens"] == USAGE.cache_read * len(lines)
            assert summary["total_output_tokens"] == USAGE.output * len(lines)


def test_a_torn_last_line_and_a_corrupt_roll_up_are_set_aside(tmp_path: Path) -> None:
    with ScriptedUpstream(answer(Reply("Hi", usage=USAGE))) as server:
        daemon = Daemon(tmp_path, settings(upstream("a", server.url)))
        with daemon:
            for _ in range(3):
                ask(daemon.url, "messages")
        (month,) = (daemon.data / "usage").glob("*.jsonl")
        with month.open("ab") as journal:
            journal.write(b'{"v":1,"at":17952404')
        (daemon.data / "token_stats.json").write_text('{"summary": {"total_req')

        with daemon:
            ask(daemon.url, "messages")
            summary = daemon.token_stats()["summary"]

    assert (summary["total_requests"], summary["total_output_tokens"]) == (4, 4 * USAGE.output)


def test_the_roll_up_on_disk_is_whole_after_a_clean_end(tmp_path: Path) -> None:
    with ScriptedUpstream(answer(Reply("Hi", usage=USAGE))) as server:
        with Daemon(tmp_path, settings(upstream("a", server.url))) as daemon:
            for _ in range(5):
                ask(daemon.url, "messages")
            reported = daemon.token_stats()
        with daemon:
            assert daemon.token_stats()["summary"] == reported["summary"]
            assert daemon.token_stats()["by_model"] == reported["by_model"]
