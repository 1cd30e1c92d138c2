"""Whatever is killed, the alerts and the bars are those of the undisturbed run."""
