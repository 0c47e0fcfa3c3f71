"""What one process does with clips and records: dream, resume, replay. No Beam here."""
