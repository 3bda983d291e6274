"""Seeded schedules of operation and faults on the emulated cell, and a checker of the one history that each leaves."""
