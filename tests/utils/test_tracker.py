"""The statistics of a session, and the warning about N+1 loops."""

from __future__ import annotations

import json
import threading
import time
import warnings
from typing import Any, Optional

import pytest

from blaze.errors import ConfigurationError, NPlusOneWarning
from blaze.security import Redactor
from blaze.utils.tracker import QueryTracker


class Book:
    pass


@pytest.mark.requirement("R93", "R95")
def test_statements_are_counted_and_timed() -> None:
    tracker = QueryTracker()
    for seconds, rows in ((0.010, 2), (0.030, 4)):
        tracker.record("SELECT a", seconds, rows)
    tracker.record("SELECT b", 0.001, 1, (1,))
    stats = tracker.stats()
    assert stats.total == tracker.total == 3
    first, second = stats
    assert first == ("SELECT a", 2, pytest.approx(40), pytest.approx(20), pytest.approx(30), 6)
    assert (second.sql, second.count, second.rows) == ("SELECT b", 1, 1)
    assert len(stats) == 2
    assert "3 executions of 2 statements" in repr(stats)
    tracker.record("SELECT a", 1.0, 0)
    assert stats.total == 3, "statistics are a snapshot"


@pytest.mark.requirement("R97")
def test_reset_forgets_everything() -> None:
    tracker = QueryTracker()
    tracker.record("SELECT a", 1.0, 0)
    tracker.reset()
    assert tracker.stats().total == 0
    assert not list(tracker.stats())


@pytest.mark.requirement("R96")
def test_the_export_is_json_and_may_reset() -> None:
    tracker = QueryTracker()
    tracker.record("SELECT a WHERE b = ?", 0.5, 1, ("hunter2",))
    exported = tracker.export(reset=True)
    assert json.loads(json.dumps(exported)) == exported
    assert exported["total"] == 1
    assert exported["total_ms"] == pytest.approx(500)
    assert exported["statements"][0]["sql"] == "SELECT a WHERE b = ?"
    assert "samples" not in exported["statements"][0]
    assert tracker.total == 0


@pytest.mark.requirement("R96")
def test_samples_are_redacted_parameters_of_the_slowest_execution() -> None:
    tracker = QueryTracker()
    tracker.record("SELECT a", 0.1, 1, ("hunter2",))
    tracker.record("SELECT a", 0.9, 1, (1, "hunter3", None))
    tracker.record("SELECT a", 0.2, 1, ("hunter4",))
    tracker.record("SELECT b", 0.1, 1, {"password": "hunter5", "page": 3})
    tracker.record("SELECT c", 0.1, 1, tuple(range(100_000)))
    tracker.record("SELECT d", 0.1, 1, {f"p{n}": n for n in range(1000)})
    for redactor in (None, Redactor()):
        exported = tracker.export(include_samples=True, redactor=redactor)
        samples = {statement["sql"]: statement["samples"][0] for statement in exported["statements"]}
        assert samples["SELECT a"] == {"ms": pytest.approx(900), "params": ["<int>", "<str>", "None"]}
        assert len(samples["SELECT c"]["params"]) == len(samples["SELECT d"]["params"]) == 32
        assert "hunter" not in json.dumps(exported)
    assert samples["SELECT b"]["params"] == {"password": "***", "page": "3"}


def test_statements_with_written_values_count_as_one() -> None:
    tracker = QueryTracker()
    for number in range(3):
        tracker.record(f"SELECT a FROM t1 WHERE b = {number} AND c = 'secret {number}'", 0.1, 1)
    (entry,) = tracker.stats()
    assert (entry.sql, entry.count) == ("SELECT a FROM t1 WHERE b = ? AND c = ?", 3)


@pytest.mark.requirement("R93")
def test_memory_is_bounded_and_the_total_counts_on() -> None:
    tracker = QueryTracker(capacity=100)
    for number in range(5000):
        tracker.record("SELECT always", 0.1, 1)
        tracker.record(f"SELECT c{number}", 0.1, 1)
    stats = tracker.stats()
    assert stats.total == 10_000
    assert len(stats) <= 100
    counts = {entry.sql: entry.count for entry in stats}
    assert counts["SELECT always"] == 5000, "what is in use stays"
    assert "SELECT c4999" in counts
    assert "SELECT c0" not in counts
    assert tracker.export()["dropped_statements"] == 5001 - len(stats)


def test_values_in_texts_do_not_push_others_out() -> None:
    tracker = QueryTracker(capacity=100)
    tracker.record("SELECT early", 0.1, 1)
    for number in range(5000):
        tracker.record(f"SELECT a WHERE b = {number}", 0.1, 1)
    assert {entry.sql: entry.count for entry in tracker.stats()} == {
        "SELECT early": 1,
        "SELECT a WHERE b = ?": 5000,
    }


@pytest.mark.requirement("R37", "R93")
def test_threads_lose_no_count() -> None:
    tracker = QueryTracker(capacity=20)

    def work(name: int) -> None:
        for number in range(5000):
            tracker.record(f"SELECT c{number % 10}", 0.0, 1)
            if number % 500 == name:
                tracker.stats()

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = tracker.stats()
    assert stats.total == 20_000
    assert sorted((entry.sql, entry.count) for entry in stats) == [(f"SELECT c{n}", 2000) for n in range(10)]


def test_recording_is_cheap() -> None:
    record = QueryTracker().record
    params = (1,)
    rounds = []
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(1000):
            record("SELECT a", 0.001, 1, params)
        rounds.append(time.perf_counter() - start)
    assert min(rounds) < 0.002, "0.2 µs each on a quiet machine; 2 µs is a mistake"


def look_up(tracker: QueryTracker, times: int, model: Any = Book, relation: Optional[str] = None) -> None:
    for _ in range(times):
        tracker.lookup("SELECT one", model, relation)


class TestLoops:
    @pytest.mark.requirement("R59", "R93")
    def test_a_line_that_repeats_a_select_is_warned_about_once(self) -> None:
        tracker = QueryTracker(threshold=5)
        with pytest.warns(NPlusOneWarning) as caught:
            look_up(tracker, 100, Book, "author")
        (warning,) = caught
        assert warning.filename == __file__
        assert f"{warning.lineno} has loaded Book.author 6 times" in str(warning.message)
        assert ".include(Book.author)" in str(warning.message)
        (loop,) = tracker.export()["n_plus_one"]
        assert loop == {"file": __file__, "line": warning.lineno, "model": "Book", "relation": "author"}

    def test_a_loop_of_gets_has_a_cure_of_its_own(self) -> None:
        tracker = QueryTracker(threshold=2)
        with pytest.warns(NPlusOneWarning, match=r"has fetched Book 3 times.*query\(Book\) and in_\(\)"):
            look_up(tracker, 3)

    @pytest.mark.requirement("R93")
    def test_up_to_the_threshold_nothing_is_said(self) -> None:
        tracker = QueryTracker(threshold=5)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(5):
                tracker.lookup("SELECT author", Book, "author")

    def test_different_lines_are_no_loop(self) -> None:
        tracker = QueryTracker(threshold=3)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(2):
                tracker.lookup("SELECT author", Book, "author")
                tracker.lookup("SELECT author", Book, "author")
                tracker.lookup("SELECT author", Book, "author")

    def test_recording_never_warns(self) -> None:
        tracker = QueryTracker(threshold=1)
        for _ in range(100):
            tracker.record("INSERT INTO t VALUES (?)", 0.1, 1)
        assert not tracker.export()["n_plus_one"]

    def test_it_can_be_turned_off(self) -> None:
        tracker = QueryTracker(threshold=0)
        for _ in range(100):
            tracker.lookup("SELECT author", Book, "author")
        with pytest.raises(ConfigurationError, match="performance_threshold"):
            QueryTracker(threshold=-1)

    def test_a_filter_may_turn_it_into_an_error_that_comes_once(self) -> None:
        tracker = QueryTracker(threshold=1)
        raised = 0
        for _ in range(10):
            try:
                tracker.lookup("SELECT author", Book, "author")
            except NPlusOneWarning:
                raised += 1
        assert raised == 1

    def test_memory_is_bounded(self) -> None:
        tracker = QueryTracker(threshold=1_000_000, capacity=50)
        for number in range(1000):
            for _ in range(3):
                tracker.lookup(f"SELECT {number}", Book, "author")
        assert len(tracker._lookups) <= 50
        assert len(tracker._lines) <= 50

    def test_reset_starts_counting_anew(self) -> None:
        tracker = QueryTracker(threshold=3)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(3):
                for _ in range(3):
                    tracker.lookup("SELECT author", Book, "author")
                tracker.reset()

    def test_what_has_no_name_is_shown_as_it_is(self) -> None:
        with pytest.warns(NPlusOneWarning, match="has fetched table book 2 times"):
            look_up(QueryTracker(threshold=1), 2, "table book")

    def test_code_without_a_module_is_warned_about_too(self) -> None:
        code = compile(
            "for _ in range(9): tracker.lookup('SELECT one', Book, 'author')", "a template", "exec"
        )
        with pytest.warns(NPlusOneWarning, match="a template:1 has loaded Book.author 6 times"):
            exec(code, {"tracker": QueryTracker(threshold=5), "Book": Book})
