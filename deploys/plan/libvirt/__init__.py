"""What libvirt is asked for, as pure text and values: no host is asked anything here."""
