"""Gate requests on running totals."""
