"""The demo: the project's main job, played on this machine with real processes and real HTTP."""
