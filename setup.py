from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

INTERNAL = ("core.h", "slice.h")


class BuildPy(build_py):
    """A wheel has the headers that users' own engines are compiled against (engines/own.py)."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return  # then they are where csrc is
        place = Path(self.build_lib, "bench", "engines", "include")
        place.mkdir(parents=True, exist_ok=True)
        for header in sorted(Path("csrc").glob("*.h")):
            if header.name not in INTERNAL:
                self.copy_file(str(header), str(place / header.name))


setup(cffi_modules=["csrc/ffi_build.py:build"], cmdclass={"build_py": BuildPy})
