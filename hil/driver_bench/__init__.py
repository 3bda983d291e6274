"""The bench of the drivers, `sinew hil drivers`: one file per section, against an emulated cell or a real one."""
