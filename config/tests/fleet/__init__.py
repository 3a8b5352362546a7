"""An app that only tests install: tasks and jobs that are slow, fail, or break their worker."""
