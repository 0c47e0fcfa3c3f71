"""Verification of our datasets: shards, records, provenance, tables, counts and sources, each checked. No Beam here."""
