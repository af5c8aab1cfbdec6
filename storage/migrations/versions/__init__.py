"""One file per version of the schema, named after it."""
