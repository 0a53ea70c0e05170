"""Videos in: where they lie, how each format is read, and how they are made ready for a model."""
