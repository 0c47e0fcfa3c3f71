"""Where clips come from: folders, manifests, lists, TFDS datasets and TFRecords. Each source gives a listing.

To add a source, write it and list it in `pipelines.sources.inputs`.
"""
