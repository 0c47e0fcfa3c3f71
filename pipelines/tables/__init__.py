"""Tables with a row for each file: CSV, TSV, JSONL and Parquet, their columns, labels, paths and times."""
