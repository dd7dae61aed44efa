"""The built-in plugins of expcore; found through entry points, like any stranger's."""
