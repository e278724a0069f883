"""Runs as a fit reads them: tables, public data sets, rows of published laws."""
