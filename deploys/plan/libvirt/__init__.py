"""libvirt definitions as pure text and values, without contacting a host."""
