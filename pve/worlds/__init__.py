"""Where MDPs come from: grid worlds, tables, names."""
