"""BigQuery on localhost: datasets, tables, jobs and rows over DuckDB."""
