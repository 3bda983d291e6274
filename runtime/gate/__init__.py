"""The safety gate: no command reaches an arm but through `Gate.decide`."""
