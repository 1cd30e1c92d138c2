"""Every number a rule can name, as columns over symbols."""
