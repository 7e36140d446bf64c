"""What a run leaves behind: the database rows, the V3 document and the artifacts beside them."""
