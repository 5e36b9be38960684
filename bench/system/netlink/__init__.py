"""Two ways to speak netlink: pyroute2, and messages packed by hand."""
