"""The emulated RealSense: librealsense's software device fed with rendered frames, and the faults it can show."""
