"""Who may sign in: passwords, and changes of users that the command line and the front share."""
