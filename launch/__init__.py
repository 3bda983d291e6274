"""The sinew command, the supervisor, cell and task files, the operator console."""
