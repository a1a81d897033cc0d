"""The same arithmetic, faster: threads, blocked attention, the loss in place, replicas, machines."""
