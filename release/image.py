"""Checks the Dockerfile where no container engine is at hand.

    release/image.py

- base images are pinned, that of Rust to the toolchain of rust-toolchain.toml; packages come without recommended ones, and
  their lists go; nothing is fetched with ADD or piped into a shell;
- the last stage runs as a number that is not root, and what it starts is what an earlier stage has built;
- every file that is copied is there and let through by .dockerignore, also every file that the sources include;
- the model runtime is of the version that the tests use.

Exit 1 when anything is wrong, with one line per fault.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGE = (ROOT / "Dockerfile").read_text()
LET_THROUGH = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]


def instructions():
    """Each instruction with its text, continued lines joined."""
    text = re.sub(r"^#.*\n", "", IMAGE, flags=re.M).replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word, " ".join(rest.split())


def stages():
    """Each stage: its image, its name, its instructions."""
    found = []
    for word, rest in instructions():
        if word == "FROM":
            image, _, name = rest.partition(" AS ")
            found.append((image, name, []))
        elif found:
            found[-1][2].append((word, rest))
    return found


def is_let_through(path):
    return any(path == allowed or path.is_relative_to(allowed) for allowed in map(Path, LET_THROUGH))


def bases():
    rust = re.search(r'^channel = "(.*)"', (ROOT / "rust-toolchain.toml").read_text(), re.M).group(1)
    for image, _, _ in stages():
        name, _, tag = image.partition(":")
        if not tag or tag == "latest":
            yield f"the image {image} is not pinned"
        if name == "rust" and not tag.startswith(f"{rust}-"):
            yield f"the image {image} is not of the toolchain {rust}"
        if name != "rust" and "bookworm" not in tag:
            yield f"the image {image} is not of the system that the binary is built on"


def runs():
    for word, rest in instructions():
        if word == "ADD":
            yield f"ADD {rest}: it unpacks and fetches; use COPY"
        if word != "RUN":
            continue
        if re.search(r"(curl|wget).*\|\s*(ba)?sh", rest):
            yield f"something fetched is run unseen: {rest}"
        if "apt-get install" in rest:
            for needed in ("apt-get update", "--no-install-recommends", "--yes", "rm -rf /var/lib/apt/lists"):
                if needed not in rest:
                    yield f"apt-get without {needed}: {rest}"
        for package in re.findall(r"pip install (?:--\S+(?: /\S+)? )*([^-\s&]\S*)", rest):
            if "==" not in package:
                yield f"pip installs {package} without a version"
        if "cargo build" in rest and not {"--locked", "--profile", "dist"} <= set(rest.split()):
            yield f"cargo builds without --locked --profile dist: {rest}"


def last_stage():
    _, _, last = stages()[-1]
    said = dict(last)
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", said.get("USER", "")):
        yield "the image does not run as a number other than root"
    if said.get("STOPSIGNAL") != "SIGTERM":
        yield "the image is not stopped by SIGTERM, which ends a job cleanly"
    copied = {}
    for word, rest in last:
        if word == "COPY":
            *sources, target = [part for part in rest.split() if not part.startswith("--")]
            for source in sources:
                copied[target + Path(source).name if target.endswith("/") else target] = rest
    start = re.fullmatch(r'\["([^"]+)"\]', said.get("ENTRYPOINT", ""))
    if not start or "--from=build" not in copied.get(start.group(1), ""):
        yield "what the image starts is not what the stage `build` has built"
    library = dict(part.split("=", 1) for word, part in last if word == "ENV").get("ORT_DYLIB_PATH")
    if "--from=runtime" not in copied.get(library, ""):
        yield "ORT_DYLIB_PATH does not name the library that the stage `runtime` has"
    runtime = re.search(r"^runtime=(\S+)", (ROOT / "tests/models/make").read_text(), re.M).group(1)
    if f"onnxruntime=={runtime} " not in IMAGE:
        yield f"the image's model runtime is not {runtime}, with which the tests are run"


def context():
    for allowed in LET_THROUGH:
        if not (ROOT / allowed).exists():
            yield f".dockerignore lets {allowed} through, which is not there"
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                if source != "." and not is_let_through(Path(source)):
                    yield f"{source} is copied, and .dockerignore keeps it out"
    for member in re.findall(r'"(\w+)"', re.search(r"^members = \[(.*)\]", (ROOT / "Cargo.toml").read_text(), re.M).group(1)):
        if not is_let_through(Path(member)):
            yield f"the member {member} of the workspace is kept out by .dockerignore"
    for folder in ("engine", "operators", "bin"):
        for source in (ROOT / folder / "src").rglob("*.rs"):
            # What stands behind a mark of a test is not built.
            text = re.split(r"#\[(?:cfg\()?test", source.read_text())[0]
            for path in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', text):
                found = (source.parent / path).resolve()
                if not found.exists() or not is_let_through(found.relative_to(ROOT)):
                    yield f"{source.relative_to(ROOT)} includes {path}, which the builder does not get"


def main():
    faults = [fault for rule in (bases, runs, last_stage, context) for fault in rule()]
    for fault in faults:
        print(f"FAULT: Dockerfile: {fault}")
    print(f"Dockerfile: {len(stages())} stages, {len(faults)} faults (not built here: that needs a container engine)")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
