"""Fuzzing of the safety gate: seeded sources of bad and good commands, and a checker that knows the limits, not the gate."""
