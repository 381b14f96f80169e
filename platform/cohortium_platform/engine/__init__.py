"""Evaluating definitions over a tenant's records.

Here: the plan of what to read (`plan`), DuckDB's own method for every operation (`duckdb_series`, `duckdb_frames`,
`duckdb_status`), running it (`duckdb`), one patient's record for the interpreter (`explain`), and a tenant's
evaluation from catalogue to results (`service`). Not here: what operations mean (`cohortium_plugins.interpreter`) and
where results are kept (`cohortium_platform.results`).
"""
