"""One file per verb of the sinew command."""
