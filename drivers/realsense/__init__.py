"""RealSense cameras, one process each: live, recorded and emulated devices through the ordinary `rs.pipeline`."""
