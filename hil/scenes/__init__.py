"""Scenes of the emulated cell: the robot's data, what stands around it, and the row that carries its state."""
