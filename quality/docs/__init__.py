"""Great Expectations' Data Docs of the last verdicts: built in a process of their own, served as files."""
