"""Keep the files of a configuration, and tell whether they still are what was written."""
