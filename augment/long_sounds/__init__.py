"""Sounds too long for memory: windows, their dreams as one stream, and scores and loudness measured block by block."""
