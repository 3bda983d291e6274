"""How the arm stops, whatever fails above it: faults raised under way, judged by the emulated robot's own log."""
