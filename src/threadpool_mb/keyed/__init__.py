"""`KeyedExecutor`: the door (executor), tasks by key (tasks), their futures, views of one key."""
