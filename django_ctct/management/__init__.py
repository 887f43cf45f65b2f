"""The commands, for people and for cron. They show and ask; what they do is done by the rooms below."""
