"""Virtual machines that run Debian's kernels in QEMU under software emulation, without root.

A virtual machine sees a part of this computer's files under their own names: the virtual
environment, the checkout as it stands, and some programs. So it runs the same files on another
kernel; only the interpreter is Debian's if possible. It has no disk and no network: it leaves
nothing behind.
"""
