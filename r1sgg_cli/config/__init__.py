"""What a user can configure: the schema, the YAML it is written in, and how files and `--set` are merged."""
