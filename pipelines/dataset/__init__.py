"""Our datasets on disk: records, shards, metadata, the reader, export and verification.

`pipelines.dataset.reader` is the one reader; the evaluation uses it, too. No Beam here.
"""
