"""The emulated cell (FCI, RealSense, scene), faults, benches and reports."""
