"""Generated wire messages: a copy of proto/v1, see copy_proto.py."""
