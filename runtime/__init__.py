"""The real-time core: clock, rows, rings, the loop, chunk schedule, gate, modes, recorder. Imports nothing of ours."""
