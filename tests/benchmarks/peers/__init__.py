"""The same job as `parse`, as a user would write it with another library; each a whole process: IN OUT."""
