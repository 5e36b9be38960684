"""Virtual machines that run Debian's kernels in QEMU under software emulation, without root.

A machine sees a part of this computer's files under their own names: the virtual environment, the
checkout as it stands, and some programs. So what runs in it is what would run here, on another
kernel; only the interpreter is Debian's where it can be. It has no disk and no network: nothing
that it does is left.
"""
