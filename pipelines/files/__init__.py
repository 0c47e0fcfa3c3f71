"""Bytes to samples: where a file lies, what container it is, and how it decodes.

Nothing here knows of labels, tables or datasets.
"""
