"""A view of the table for the new revision of an app: the old column's name shows the new one."""
