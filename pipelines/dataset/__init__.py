"""Our datasets on disk: schema, records, shards, metadata, provenance, export, and the readers.

`pipelines.dataset.reader` and `record_reader` are the only readers; the evaluation uses them, too. No Beam here.
"""
