"""The DuckDB that evaluations use one after the other: nothing of one is left for the next."""

from __future__ import annotations

import os

import duckdb
import pytest

from cohortium_platform.engine.control import Cancellation, EngineSettings
from cohortium_platform.engine.duckdb_running import Running, lend

STATE = "SELECT current_setting('threads'), current_setting('disabled_optimizers'), current_setting('temp_directory')"


def test_nothing_of_one_evaluation_is_left_for_the_next(tmp_path) -> None:
    first = lend(EngineSettings(threads=2, memory_limit="300MB", temporary=tmp_path / "spill"))
    running = Running(first.connection, Cancellation())
    running.run("CREATE TEMP TABLE people AS SELECT range AS patient_id FROM range(1000)")
    running.run("SET VARIABLE last_day = DATE '2025-01-01'")
    running.foresee(outcomes=False)
    running.in_one_thread()
    first.give_back()
    second = lend(EngineSettings(threads=2, memory_limit="300MB"))
    assert second.connection.execute(STATE).fetchall() == [(2, "", "")]
    assert second.connection.execute("SELECT getvariable('last_day')").fetchall() == [(None,)]
    with pytest.raises(duckdb.CatalogException):
        second.connection.execute("FROM people")
    second.give_back()


def test_one_that_went_wrong_or_spilled_is_not_lent_again(tmp_path) -> None:
    asked = EngineSettings(threads=1, memory_limit="60MB", temporary=tmp_path / "spill")
    lent = lend(asked)
    rows = "SELECT range AS a, 'words that hardly compress ' || hash(range) AS b FROM range(3000000)"
    Running(lent.connection, Cancellation()).run(f"CREATE TEMP TABLE many AS {rows}")
    assert (tmp_path / "spill").is_dir()
    lent.give_back()
    elsewhere = lend(EngineSettings(threads=1, memory_limit="60MB", temporary=tmp_path / "other"))
    assert elsewhere.connection.execute("SELECT current_setting('temp_directory')").fetchall()[0][0].endswith("other")
    elsewhere.close()
    with pytest.raises(duckdb.ConnectionException):
        elsewhere.connection.execute("SELECT 1")


def test_a_forked_process_opens_its_own() -> None:
    lend(EngineSettings(threads=2)).give_back()
    child = os.fork()
    if child == 0:
        found = lend(EngineSettings(threads=2)).connection.execute("SELECT count(*) FROM range(1000000)").fetchall()
        os._exit(0 if found == [(1_000_000,)] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
