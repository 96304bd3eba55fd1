"""Totals in Redis: publishing them, saying how fresh they are, reading them back."""
