"""Registers, shared memory and spills of every kernel on every architecture that nvcc compiles for.

    python plugins/resources.py [--arch all|87,90] [--nvcc PATH]

writes RESOURCES.md and RESOURCES.json beside this file. Needs nvcc, no GPU. Shared memory is the static part; what a
kernel asks for at launch is in its README.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write
from gcpose_trt.plugins import sources, toolchain

FOLDER = Path(__file__).resolve().parent
_ENTRY = re.compile(
    r"Compiling entry function '(?P<name>\w+)' for 'sm_\w+'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)


def parse(text: str) -> dict[str, dict[str, int]]:
    """Return what `ptxas -v` said of each entry function, by mangled name: numbers of registers and of bytes."""
    found = {}
    for match in _ENTRY.finditer(text):
        shared = re.search(r"(\d+) bytes smem", match["rest"])
        found[match["name"]] = {
            "registers": int(match["registers"]),
            "shared": int(shared.group(1)) if shared else 0,
            "stack": int(match["stack"]),
            "spill_stores": int(match["stores"]),
            "spill_loads": int(match["loads"]),
        }
    return found


def readable(name: str) -> str:
    """Return a kernel's name without namespaces and arguments, its template arguments kept."""
    program = shutil.which("cu++filt") or shutil.which("c++filt")
    if program is None:
        return name
    full = subprocess.run([program, name], capture_output=True, text=True, check=True).stdout.strip()
    plain = re.sub(r"gcpose::|\(anonymous namespace\)::|<unnamed>::|_INTERNAL_\w+::|^void ", "", full)
    plain = re.sub(r"\((int|bool|unsigned int)\)", "", plain)  # of template arguments
    return plain.split("(")[0].strip()


def measure(nvcc: toolchain.Nvcc, source: str, architecture: str) -> dict[str, dict[str, int]]:
    """Compile one source for one architecture and return the resources of its kernels by readable name.

    Raises:
        GcposeError: it does not compile.
    """
    with tempfile.TemporaryDirectory() as scratch:
        command = [str(nvcc.path), "-std=c++17", "-O3", "-cubin", f"-arch=sm_{architecture}", "-Xptxas", "-v"]
        command += [f"-I{FOLDER}", str(FOLDER / source), "-o", f"{scratch}/out.cubin"]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise GcposeError(f"{source} does not compile for {architecture}: {done.stderr[:500]}; mend the kernel")
    return {readable(name): numbers for name, numbers in parse(done.stderr).items()}


def table(results: dict[str, dict[str, dict[str, dict[str, int]]]], architectures: list[str], version: str) -> str:
    """Return RESOURCES.md: a row a kernel, a column an architecture."""
    total = sum(len(kernels) for by_architecture in results.values() for kernels in by_architecture.values())
    spilling = sum(
        numbers["spill_stores"] > 0
        for by_architecture in results.values()
        for kernels in by_architecture.values()
        for numbers in kernels.values()
    )
    lines = [
        "# Resources of the kernels",
        "",
        f"By `python plugins/resources.py`, nvcc {version}, -O3. A cell has the registers of a thread, after a slash",
        "the bytes of static shared memory of a block, and the bytes spilled, if any. Compiled, not run.",
        f"{total} kernels compiled, {spilling} of them spill.",
        "",
        "| kernel | " + " | ".join(f"sm_{one}" for one in architectures) + " |",
        "|---|" + "---|" * len(architectures),
    ]
    for source, by_architecture in results.items():
        names = sorted({name for kernels in by_architecture.values() for name in kernels})
        for name in names:
            cells = [_cell(by_architecture[one].get(name)) for one in architectures]
            lines.append(f"| {source.split('/')[0]}: `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(numbers: dict[str, int] | None) -> str:
    if numbers is None:
        return "-"
    text = f"{numbers['registers']} / {numbers['shared']}"
    return text + (f" / spills {numbers['spill_stores']}" if numbers["spill_stores"] else "")


def main() -> int:
    """Measure and write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="all", help="all (default), or architectures such as 87,90")
    parser.add_argument("--nvcc", type=Path, help="the CUDA compiler (default: looked for)")
    args = parser.parse_args()
    try:
        nvcc = toolchain.find_nvcc(args.nvcc)
        architectures = toolchain.choose_architectures(args.arch, nvcc)
        names = [f"{name}/kernel.cu" for name in sources.KERNELS]
        results: dict[str, dict[str, dict[str, dict[str, int]]]] = {name: {} for name in names}
        with tqdm(total=len(names) * len(architectures), unit="file") as bar:
            for name in names:
                for architecture in architectures:
                    results[name][architecture] = measure(nvcc, name, architecture)
                    bar.update()
    except GcposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    with atomic_write(FOLDER / "RESOURCES.json", "w") as stream:
        json.dump(
            {"nvcc": nvcc.version, "sources_sha256": sources.sources_sha256(), "kernels": results}, stream, indent=1
        )
        stream.write("\n")
    with atomic_write(FOLDER / "RESOURCES.md", "w") as stream:
        stream.write(table(results, architectures, nvcc.version))
    return 0


if __name__ == "__main__":
    sys.exit(main())
