"""This machine: /proc and /sys, CPUs, the host, privileges, namespaces, netlink."""
