"""One file per subcommand: options to configuration, one call, one result."""
