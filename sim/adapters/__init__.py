"""Our environments as other packages' environments: each in a module of its own, imported only by who wants it."""
