"""Why is a query slow? Every cause is held against the same measure, so that the first one named is the one to mend first."""
