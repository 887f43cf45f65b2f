from .scene import quiet_room  # noqa: F401 - used by every test here
